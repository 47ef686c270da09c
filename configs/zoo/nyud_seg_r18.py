# The model of zoo/nyud_seg_r18.cmim: nyud_seg_r18_half.py, and then this, at 240x320
# (images of 480x640: model.data_preprocessor.input_scale=0.5). A photo of any size is scaled to that first.
_base_ = '../study/seg.py'
load_from = 'work_dirs/nyud_seg_r18_half/iter_3000.pth'
model = dict(data_preprocessor=dict(input_scale=1.0))
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(320, 240), keep_ratio=True),
    dict(type='cmim_mm.PackDenseInputs'),
]
train_dataloader = dict(batch_size=8)
optim_wrapper = dict(
    optimizer=dict(lr=1.2e-3), paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.1))))
train_cfg = dict(max_iters=800, val_interval=800, val_begin=801)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=50),
    dict(type='PolyLR', eta_min=0.0, power=0.9, by_epoch=False, begin=50, end=800),
]
