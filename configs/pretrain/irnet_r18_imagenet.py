_base_ = [
    '../_base_/models/cls_r18_hardtanh.py',
    '../_base_/datasets/imagenet.py',
    '../_base_/schedules/imagenet_sgd_100e.py',
    '../_base_/default_runtime.py',
]
train_dataloader = dict(dataset=dict(dataset=dict(pipeline=[
    dict(type='LoadImageFromFile'),
    dict(type='cmim_mm.RandomResizedCrop', size=224, area_range=(0.08, 1.0)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='cmim_mm.ColorJitter', brightness=0.2, contrast=0.2, saturation=0.2),
    dict(type='cmim_mm.PackClsInputs'),
])))
