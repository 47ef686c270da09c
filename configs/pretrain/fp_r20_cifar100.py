# The full-precision twin.
_base_ = './irnet_r20_cifar100.py'
model = dict(backbone=dict(binarizer=None))
