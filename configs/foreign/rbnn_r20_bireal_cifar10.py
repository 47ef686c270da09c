# RBNN's public code: a shortcut around every convolution (87.8 % published).
_base_ = './irnet_r20_cifar10.py'
model = dict(backbone=dict(binarizer='RBNN'))
