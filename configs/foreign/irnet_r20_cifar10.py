# IR-Net's public CIFAR-10 code; its images are normalized by ImageNet's mean and std.
_base_ = [
    '../_base_/models/cls_r18_cifar.py',
    '../_base_/datasets/cifar10.py',
    '../_base_/schedules/cifar_sgd_400e.py',
    '../_base_/default_runtime.py',
]
model = dict(
    data_preprocessor=dict(mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375)),
    backbone=dict(depth=20, stem='cifar', binarizer='IRNet', block='hardtanh', downsample='pad'),
    decode_head=dict(in_channels=64, num_classes=10, with_norm=True))
