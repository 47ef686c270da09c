_base_ = [
    '../_base_/models/cls_r18_cifar.py',
    '../_base_/datasets/cifar10.py',
    '../_base_/schedules/cifar_sgd_warmup_600e.py',
    '../_base_/default_runtime.py',
]
model = dict(
    data_preprocessor=dict(pad_mode='constant'),
    backbone=dict(depth=20, binarizer='ReCU', downsample='pool_pad'),
    decode_head=dict(in_channels=64, num_classes=10))
train_dataloader = dict(batch_size=256)
