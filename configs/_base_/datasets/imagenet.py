# ImageNet-1k: train/<class>/, val/<class>/ (tools: --data-root DIR). Batch 128 a GPU; four make 512.
data_root = 'data/imagenet'
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='cmim_mm.RandomResizedCrop', size=224, area_range=(0.08, 1.0)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='cmim_mm.PackClsInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='ResizeShortestEdge', scale=256, max_size=100000),
    dict(type='CenterCrop', crop_size=224),
    dict(type='cmim_mm.PackClsInputs'),
]
train_dataloader = dict(
    batch_size=128,
    num_workers=8,
    sampler=dict(type='cmim_mm.ResumableSampler'),
    dataset=dict(type='cmim_mm.SeededDataset', dataset=dict(
        type='cmim_mm.ImageFolder', data_root=data_root, split='train', pipeline=train_pipeline)))
val_dataloader = dict(
    batch_size=128,
    num_workers=8,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='cmim_mm.ImageFolder', data_root=data_root, split='val', test_mode=True, pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(type='cmim_mm.TopKAccuracy', topk=(1, 5))
test_evaluator = val_evaluator
