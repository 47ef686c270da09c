# VGG-Small with a flat classifier.
_base_ = './rbnn_r20_cifar10.py'
model = dict(
    backbone=dict(_delete_=True, type='cmim_mm.BinaryVGG', binarizer='RBNN'),
    decode_head=dict(in_channels=512, pool_size=4, with_norm=False))
