# VGG-Small with a flat classifier; 300 epochs of 50,000 images at batch 128.
_base_ = './reactnet_r18_cifar10.py'
model = dict(
    backbone=dict(_delete_=True, type='cmim_mm.BinaryVGG', binarizer=dict(type='IRNet', t_min=0.1)),
    decode_head=dict(pool_size=4, with_norm=False))
optim_wrapper = dict(optimizer=dict(lr=0.007))
train_cfg = dict(max_iters=117188)
param_scheduler = [dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=False, begin=0, end=117188)]
