# As published: blocks of two convolutions, 1x1 convolutions with stride in full precision.
_base_ = [
    '../_base_/models/cls_r18_cifar.py',
    '../_base_/datasets/cifar10.py',
    '../_base_/schedules/cifar_sgd_400e.py',
    '../_base_/default_runtime.py',
]
model = dict(
    data_preprocessor=dict(pad_mode='constant'),
    backbone=dict(binarizer='IRNet', block='plain', downsample='strided'),
    decode_head=dict(num_classes=10))
