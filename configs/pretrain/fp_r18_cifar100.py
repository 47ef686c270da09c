_base_ = './reactnet_r18_cifar100.py'
model = dict(backbone=dict(binarizer=None))
