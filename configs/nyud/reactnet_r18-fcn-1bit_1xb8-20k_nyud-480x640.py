# The head is 1-bit too, but for its classifier. PReLU: after a ReLU every binary input would be +1.
_base_ = './reactnet_r18-fcn_1xb8-20k_nyud-480x640.py'
model = dict(
    decode_head=dict(
        conv_cfg=dict(type='cmim_mm.BinaryConv2d', binarizer='ReActNet'),
        act_cfg=dict(type='PReLU')))
