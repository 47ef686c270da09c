# Any binarizer: --cfg-options model.backbone.binarizer=ReCU
_base_ = [
    '../_base_/models/cls_r18_cifar.py',
    '../_base_/datasets/cifar10.py',
    '../_base_/schedules/cifar_sgd_400e.py',
    '../_base_/default_runtime.py',
]
model = dict(data_preprocessor=dict(pad_mode='constant'), decode_head=dict(num_classes=10))
