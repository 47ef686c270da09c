# As published: blocks of two convolutions.
_base_ = './reactnet_r18_cifar10.py'
model = dict(backbone=dict(binarizer='IRNet', block='plain'))
