# As published: blocks of two convolutions.
_base_ = './reactnet_r18_cifar100.py'
model = dict(backbone=dict(binarizer='IRNet', block='plain'))
