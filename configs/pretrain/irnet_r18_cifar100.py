# As published: blocks of two convolutions.
_base_ = [
    '../_base_/models/cls_r18_cifar.py',
    '../_base_/datasets/cifar100.py',
    '../_base_/schedules/cifar_sgd_400e.py',
    '../_base_/default_runtime.py',
]
model = dict(backbone=dict(binarizer='IRNet', block='plain'), decode_head=dict(num_classes=100))
