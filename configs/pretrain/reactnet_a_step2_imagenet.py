# ReActNet's second step: binary activations and weights, from the weights of the first.
_base_ = './reactnet_a_step1_imagenet.py'
model = dict(
    backbone=dict(binarizer='ReActNet'),
    init_cfg=dict(type='Pretrained', checkpoint='work_dirs/reactnet_a_step1_imagenet/iter_1281167.pth'))
optim_wrapper = dict(optimizer=dict(weight_decay=0.0))
