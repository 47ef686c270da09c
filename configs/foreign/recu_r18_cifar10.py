# ReCU's public code: shortcuts without parameters.
_base_ = './irnet_r20_cifar10.py'
model = dict(
    backbone=dict(depth=18, stem='cifar_linear', binarizer='ReCU', block='plain', downsample='pool_pad'),
    decode_head=dict(in_channels=512))
