# The recipe for CIFAR-10.
_base_ = './reactnet_r18_cifar100.py'
model = dict(backbone=dict(binarizer=dict(_delete_=True, type='AdaBin', t_min=1e-3), downsample='strided'))
