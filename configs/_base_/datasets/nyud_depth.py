# NYUD-v2 depth in metres; any folder in its layout at any image size (tools: --data-root DIR).
data_root = 'data/nyud'
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='cmim_mm.LoadNYUDDepth'),
    dict(type='cmim_mm.RandomRescaleCrop', ratio_range=(1.0, 1.5)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='cmim_mm.PackDenseInputs'),
]
val_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='cmim_mm.LoadNYUDDepth'),
    dict(type='cmim_mm.PackDenseInputs'),
]
test_pipeline = [dict(type='LoadImageFromFile'), dict(type='cmim_mm.PackDenseInputs')]
tta_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='TestTimeAug', transforms=[
        [dict(type='RandomFlip', prob=0.0), dict(type='RandomFlip', prob=1.0)],
        [dict(type='cmim_mm.LoadNYUDDepth')],
        [dict(type='cmim_mm.PackDenseInputs')],
    ]),
]
tta_model = dict(type='cmim_mm.DepthTTAModel')
train_dataloader = dict(
    batch_size=8,
    num_workers=2,
    sampler=dict(type='cmim_mm.ResumableSampler'),
    dataset=dict(type='cmim_mm.SeededDataset', dataset=dict(
        type='cmim_mm.NYUDDepthDataset', data_root=data_root, ann_file='train.txt', pipeline=train_pipeline)))
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='cmim_mm.NYUDDepthDataset', data_root=data_root, ann_file='test.txt', test_mode=True,
        pipeline=val_pipeline))
test_dataloader = val_dataloader
val_evaluator = [dict(type='cmim_mm.DepthPixelMetric'), dict(type='cmim_mm.DepthEigenMetric')]
test_evaluator = val_evaluator
