# The model of zoo/nyud_seg_r18.cmim, from the encoder of pretrain/reactnet_r18_unlabelled.py, at 240x320
# (images of 480x640: model.data_preprocessor.input_scale=0.5). A photo of any size is scaled to that first.
_base_ = [
    '../_base_/models/bnn_r18_segformer.py',
    '../_base_/datasets/nyud_seg.py',
    '../_base_/schedules/schedule_20k.py',
    '../_base_/default_runtime.py',
]
model = dict(backbone=dict(init_cfg=dict(
    type='Pretrained', checkpoint='work_dirs/reactnet_r18_unlabelled/iter_1600.pth', prefix='backbone.')))
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(320, 240), keep_ratio=True),
    dict(type='cmim_mm.PackDenseInputs'),
]
val_dataloader = dict(batch_size=8)
test_dataloader = val_dataloader
train_cfg = dict(max_iters=4800, val_interval=4800, val_begin=4801)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=100),
    dict(type='PolyLR', eta_min=0.0, power=0.9, by_epoch=False, begin=100, end=4800),
]
default_hooks = dict(checkpoint=dict(interval=100, max_keep_ckpts=1))
