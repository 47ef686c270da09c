# Indoor scenes, 128x128: train/<class>/, val/<class>/ (tools: --data-root DIR); 41 classes of MiniPlaces.
data_root = 'data/indoor'
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='cmim_mm.RandomResizedCrop', size=128, area_range=(0.25, 1.0)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='cmim_mm.ColorJitter', brightness=0.4, contrast=0.4, saturation=0.4),
    dict(type='cmim_mm.PackClsInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='ResizeShortestEdge', scale=128, max_size=100000),
    dict(type='CenterCrop', crop_size=128),
    dict(type='cmim_mm.PackClsInputs'),
]
train_dataloader = dict(
    batch_size=64,
    num_workers=2,
    sampler=dict(type='cmim_mm.ResumableSampler'),
    dataset=dict(type='cmim_mm.SeededDataset', dataset=dict(
        type='cmim_mm.ImageFolder', data_root=data_root, split='train', pipeline=train_pipeline)))
val_dataloader = dict(
    batch_size=64,
    num_workers=2,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='cmim_mm.ImageFolder', data_root=data_root, split='val', test_mode=True, pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(type='cmim_mm.TopKAccuracy', topk=(1, 5))
test_evaluator = val_evaluator
