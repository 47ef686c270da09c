# The first part of the training of zoo/nyud_seg_r18.cmim: half the size, 3,000 steps in rescaled crops, from
# the latent weights of the encoder in zoo/reactnet_r18_unlabelled.md (its card has the commands).
_base_ = '../study/seg.py'
model = dict(backbone=dict(init_cfg=dict(
    type='Pretrained', checkpoint='work_dirs/longer/iter_3200.pth', prefix='backbone.')))
_base_.train_pipeline.insert(2, dict(type='cmim_mm.RandomRescaleCrop', ratio_range=(1.0, 1.5)))
train_dataloader = dict(dataset=dict(dataset=dict(pipeline=_base_.train_pipeline)))
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.1))))
train_cfg = dict(max_iters=3000, val_interval=3000, val_begin=3001)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=50),
    dict(type='PolyLR', eta_min=0.0, power=0.9, by_epoch=False, begin=50, end=3000),
]
