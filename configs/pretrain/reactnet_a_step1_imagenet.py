# ReActNet's first step for ReActNet-A, see reactnet_r18_step1_imagenet.py: 256 epochs of 1,281,167 images at
# batch 256 (four GPUs with 64 each).
_base_ = [
    '../_base_/models/cls_r18.py',
    '../_base_/datasets/imagenet.py',
    '../_base_/schedules/imagenet_adam_256e.py',
    '../_base_/default_runtime.py',
]
model = dict(
    backbone=dict(
        _delete_=True, type='cmim_mm.BinaryMobileNet', binarizer=dict(type='ReActNet', real_weights=True)),
    decode_head=dict(in_channels=1024, label_smoothing=0.0, labels='teacher'),
    teacher=dict(
        type='cmim_mm.FrozenTeacher',
        model=dict(
            type='cmim_mm.ImageClassifier',
            backbone=dict(type='cmim_mm.BinaryResNet', depth=34, binarizer=None),
            decode_head=dict(type='cmim_mm.ClsHead', in_channels=512, num_classes=1000)),
        checkpoint='https://download.pytorch.org/models/resnet34-b627a593.pth'))
# As in its code: tensors of four dimensions decay, but not the thresholds of the binarizers.
optim_wrapper = dict(
    optimizer=dict(lr=5e-4, weight_decay=1e-5),
    paramwise_cfg=dict(norm_decay_mult=0.0, custom_keys=dict(
        prelu=dict(decay_mult=0.0), decode_head=dict(decay_mult=0.0), binarizer=dict(decay_mult=0.0))))
train_cfg = dict(max_iters=1281167)
param_scheduler = [
    dict(type='LinearLR', start_factor=1.0, end_factor=0.0, by_epoch=False, begin=0, end=1281167),
]
train_dataloader = dict(batch_size=64, dataset=dict(dataset=dict(pipeline=[
    dict(type='LoadImageFromFile'),
    dict(type='cmim_mm.RandomResizedCrop', size=224, area_range=(0.08, 1.0)),
    dict(type='cmim_mm.PCALighting', std=0.1),
    dict(type='RandomFlip', prob=0.5),
    dict(type='cmim_mm.PackClsInputs'),
])))
