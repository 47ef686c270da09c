# Any binarizer: --cfg-options model.backbone.binarizer=AdaBin
_base_ = './reactnet_r18_cifar100.py'
model = dict(
    backbone=dict(depth=20, binarizer='IRNet'),
    decode_head=dict(in_channels=64))
