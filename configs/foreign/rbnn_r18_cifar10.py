# RBNN's public code: 1-bit shortcuts.
_base_ = './irnet_r20_cifar10.py'
model = dict(
    backbone=dict(
        depth=18, stem='cifar_linear', binarizer='RBNN', block='plain', downsample='strided_binary'),
    decode_head=dict(in_channels=512))
