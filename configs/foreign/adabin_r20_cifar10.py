_base_ = './irnet_r20_cifar10.py'
model = dict(backbone=dict(binarizer='AdaBin', block='maxout'))
