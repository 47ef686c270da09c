# CIFAR-100 at the study's size: IR-Net's ResNet-20, all classes, 20 epochs.
_base_ = [
    '../_base_/models/cls_r18_cifar.py',
    '../_base_/datasets/cifar100.py',
    '../_base_/schedules/cifar_sgd_400e.py',
    '../_base_/default_runtime.py',
]
model = dict(backbone=dict(depth=20, binarizer='IRNet'), decode_head=dict(in_channels=64, num_classes=100))
optim_wrapper = dict(type='cmim_mm.CPUAmpOptimWrapper')
train_dataloader = dict(batch_size=128)
train_cfg = dict(max_iters=7820, val_interval=7820, val_begin=7821)  # tested once, at the end
param_scheduler = [dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=False, begin=0, end=7820)]
default_hooks = dict(checkpoint=dict(interval=782))
