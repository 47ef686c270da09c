# For 2 CPU cores: the first 20 classes of CIFAR-100, 6 epochs. Another binarizer, or None for the
# full-precision twin: --cfg-options model.backbone.binarizer=ReCU
_base_ = [
    '../_base_/models/cls_r18_cifar.py',
    '../_base_/datasets/cifar100.py',
    '../_base_/schedules/cifar_sgd_400e.py',
    '../_base_/default_runtime.py',
]
model = dict(
    backbone=dict(depth=20, binarizer='IRNet'),
    decode_head=dict(in_channels=64, num_classes=20))
train_dataloader = dict(batch_size=100, dataset=dict(dataset=dict(num_classes=20)))
val_dataloader = dict(dataset=dict(num_classes=20))
test_dataloader = val_dataloader
train_cfg = dict(max_iters=600, val_interval=300)
param_scheduler = [dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=False, begin=0, end=600)]
default_hooks = dict(checkpoint=dict(interval=300))
