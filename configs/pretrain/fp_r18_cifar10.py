_base_ = './reactnet_r18_cifar10.py'
model = dict(backbone=dict(binarizer=None))
