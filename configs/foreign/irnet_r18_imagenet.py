# IR-Net's public ImageNet code. Images are resized by Pillow, as there: its bilinear filter averages where it
# shrinks, OpenCV's does not.
_base_ = [
    '../_base_/models/cls_r18.py',
    '../_base_/datasets/imagenet.py',
    '../_base_/schedules/imagenet_sgd_100e.py',
    '../_base_/default_runtime.py',
]
model = dict(
    data_preprocessor=dict(mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375)),
    backbone=dict(
        depth=18, stem='imagenet_pool_last', binarizer='IRNet', block='hardtanh', downsample='strided'),
    decode_head=dict(in_channels=512, num_classes=1000, with_norm=True))
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(256, 100000), keep_ratio=True, backend='pillow'),
    dict(type='CenterCrop', crop_size=224),
    dict(type='cmim_mm.PackClsInputs'),
]
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
