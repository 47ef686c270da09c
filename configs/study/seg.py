# NYUD-v2 segmentation at the study's size: 12,000 training images of 240x320, of which the network sees half.
# So short a training is better off without rescaled crops, and at four times the rate (docs/results.md).
_base_ = [
    '../_base_/models/bnn_r18_segformer.py',
    '../_base_/datasets/nyud_seg.py',
    '../_base_/schedules/schedule_20k.py',
    '../_base_/default_runtime.py',
]
model = dict(data_preprocessor=dict(input_scale=0.5))
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='cmim_mm.LoadNYUDLabel'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='cmim_mm.PackDenseInputs'),
]
optim_wrapper = dict(type='cmim_mm.CPUAmpOptimWrapper', optimizer=dict(lr=4e-3))
train_dataloader = dict(
    batch_size=12, num_workers=0, persistent_workers=False,
    dataset=dict(dataset=dict(pipeline=train_pipeline)))
val_dataloader = dict(batch_size=8, num_workers=0, persistent_workers=False)
test_dataloader = val_dataloader
train_cfg = dict(max_iters=1000, val_interval=1000, val_begin=1001)  # tested once, at the end
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=50),
    dict(type='PolyLR', eta_min=0.0, power=0.9, by_epoch=False, begin=50, end=1000),
]
default_hooks = dict(checkpoint=dict(interval=100, max_keep_ckpts=1))
