# For 2 CPU cores: half resolution, 2,400 steps. Figures are still measured at the images' full size.
# So short a training is better off without rescaled crops, and at four times the rate (docs/results.md).
_base_ = [
    './_base_/models/bnn_r18_segformer.py',
    './_base_/datasets/nyud_seg.py',
    './_base_/schedules/schedule_20k.py',
    './_base_/default_runtime.py',
]
model = dict(data_preprocessor=dict(input_scale=0.5))
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='cmim_mm.LoadNYUDLabel'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='cmim_mm.PackDenseInputs'),
]
train_dataloader = dict(dataset=dict(dataset=dict(pipeline=train_pipeline)))
val_dataloader = dict(batch_size=8)
test_dataloader = val_dataloader
optim_wrapper = dict(optimizer=dict(lr=4e-3))
train_cfg = dict(max_iters=2400, val_interval=1200)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=50),
    dict(type='PolyLR', eta_min=0.0, power=0.9, by_epoch=False, begin=50, end=2400),
]
default_hooks = dict(checkpoint=dict(interval=1200, save_best='mIoU'))
