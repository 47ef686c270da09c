# From the encoder of pretrain/reactnet_r18_unlabelled.py, at the best rates of a search.
_base_ = './seg.py'
model = dict(backbone=dict(init_cfg=dict(
    type='Pretrained', checkpoint='work_dirs/reactnet_r18_unlabelled/iter_1600.pth', prefix='backbone.')))
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.1))))
