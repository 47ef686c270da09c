# For 2 CPU cores: half resolution, 1,600 steps. Figures are still measured at the images' full size.
# Without the rescaling of the long schedule, which would hide where the floor lies for too long.
_base_ = [
    './_base_/models/bnn_r18_depth.py',
    './_base_/datasets/nyud_depth.py',
    './_base_/schedules/schedule_20k.py',
    './_base_/default_runtime.py',
]
model = dict(data_preprocessor=dict(input_scale=0.5))
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='cmim_mm.LoadNYUDDepth'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='cmim_mm.PackDenseInputs'),
]
train_dataloader = dict(dataset=dict(dataset=dict(pipeline=train_pipeline)))
val_dataloader = dict(batch_size=8)
test_dataloader = val_dataloader
train_cfg = dict(max_iters=1600, val_interval=800)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=50),
    dict(type='PolyLR', eta_min=0.0, power=0.9, by_epoch=False, begin=50, end=1600),
]
default_hooks = dict(checkpoint=dict(interval=800, save_best='pixel/rmse', rule='less'))
