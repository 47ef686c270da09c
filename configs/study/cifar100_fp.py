# The full-precision twin, teacher of the others.
_base_ = './cifar100.py'
model = dict(backbone=dict(binarizer=None))
