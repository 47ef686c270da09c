# ReActNet's second step: binary activations and weights, from the weights of the first.
_base_ = './reactnet_r18_step1_indoor.py'
model = dict(
    backbone=dict(binarizer='ReActNet'),
    init_cfg=dict(type='Pretrained', checkpoint='work_dirs/reactnet_r18_step1_indoor/iter_16000.pth'))
optim_wrapper = dict(optimizer=dict(weight_decay=0.0))
