# AdaBin's public code: unlike IR-Net's, a shortcut around every convolution and a Maxout in the stem.
_base_ = './irnet_r20_cifar10.py'
model = dict(
    backbone=dict(depth=18, binarizer='AdaBin', block='maxout', downsample='strided'),
    decode_head=dict(in_channels=512))
