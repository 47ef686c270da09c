_base_ = './irnet_r20_cifar10.py'
model = dict(
    backbone=dict(_delete_=True, type='cmim_mm.BinaryVGG', binarizer='RBNN', block='hardtanh'),
    decode_head=dict(in_channels=512, with_norm=False, pool_size=4))
