# Any binarizer: --cfg-options model.backbone.binarizer=AdaBin
_base_ = [
    '../_base_/models/cls_r18_cifar.py',
    '../_base_/datasets/cifar10.py',
    '../_base_/schedules/cifar_sgd_400e.py',
    '../_base_/default_runtime.py',
]
model = dict(
    data_preprocessor=dict(pad_mode='constant'),
    backbone=dict(depth=20, binarizer=dict(_delete_=True, type='IRNet', t_min=1e-3)),
    decode_head=dict(in_channels=64, num_classes=10))
