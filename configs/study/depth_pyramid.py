# A head that can be 1-bit, but for its last layer:
#   --vary model.decode_head.conv_cfg.type=Conv2d,cmim_mm.BinaryConv2d
_base_ = './depth.py'
model = dict(decode_head=dict(conv_cfg=dict(type='Conv2d'), act_cfg=dict(type='PReLU')))
