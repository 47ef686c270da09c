# One step, by Bi-Real's recipe; the published two steps are reactnet_r18_step{1,2}_imagenet.py.
# The stem is that of nyud_seg_bnn.py: its norm behind the pool.
_base_ = [
    '../_base_/models/cls_r18.py',
    '../_base_/datasets/imagenet.py',
    '../_base_/schedules/imagenet_adam_256e.py',
    '../_base_/default_runtime.py',
]
model = dict(backbone=dict(stem='imagenet'), decode_head=dict(label_smoothing=0.1))
train_dataloader = dict(dataset=dict(dataset=dict(pipeline=[
    dict(type='LoadImageFromFile'),
    dict(type='cmim_mm.RandomResizedCrop', size=224, area_range=(0.08, 1.0)),
    dict(type='cmim_mm.PCALighting', std=0.1),
    dict(type='RandomFlip', prob=0.5),
    dict(type='cmim_mm.PackClsInputs'),
])))
