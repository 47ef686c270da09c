# As published: blocks of two convolutions, 1x1 convolutions with stride in full precision.
_base_ = './reactnet_r18_cifar10.py'
model = dict(backbone=dict(binarizer='IRNet', block='plain', downsample='strided'))
