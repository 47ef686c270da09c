# RBNN's public code: blocks of two convolutions (86.5 % published).
_base_ = './irnet_r20_cifar10.py'
model = dict(backbone=dict(binarizer='RBNN', block='plain'))
