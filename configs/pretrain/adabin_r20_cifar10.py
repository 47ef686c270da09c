_base_ = './reactnet_r18_cifar10.py'
model = dict(
    backbone=dict(depth=20, binarizer=dict(_delete_=True, type='AdaBin', t_min=1e-3)),
    decode_head=dict(in_channels=64))
