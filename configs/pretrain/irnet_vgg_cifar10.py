# VGG-Small with a flat classifier; 300 epochs of 50,000 images at batch 128.
_base_ = [
    '../_base_/models/cls_r18_cifar.py',
    '../_base_/datasets/cifar10.py',
    '../_base_/schedules/cifar_sgd_400e.py',
    '../_base_/default_runtime.py',
]
model = dict(
    data_preprocessor=dict(pad_mode='constant'),
    backbone=dict(_delete_=True, type='cmim_mm.BinaryVGG', binarizer=dict(type='IRNet', t_min=0.1)),
    decode_head=dict(num_classes=10, pool_size=4, with_norm=False))
optim_wrapper = dict(optimizer=dict(lr=0.007))
train_cfg = dict(max_iters=117188)
param_scheduler = [dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=False, begin=0, end=117188)]
