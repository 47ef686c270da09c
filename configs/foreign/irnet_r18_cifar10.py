# IR-Net's public CIFAR-10 code: blocks of two convolutions, no nonlinearity behind the first norm.
_base_ = './irnet_r20_cifar10.py'
model = dict(
    backbone=dict(depth=18, stem='cifar_linear', block='plain', downsample='strided'),
    decode_head=dict(in_channels=512))
