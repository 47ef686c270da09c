# As published: blocks of two convolutions, binary downsamples.
_base_ = [
    '../_base_/models/cls_r18_cifar.py',
    '../_base_/datasets/cifar10.py',
    '../_base_/schedules/cifar_sgd_warmup_1000e.py',
    '../_base_/default_runtime.py',
]
model = dict(
    data_preprocessor=dict(pad_mode='constant'),
    backbone=dict(binarizer='RBNN', block='plain', downsample='strided_binary'),
    decode_head=dict(num_classes=10))
train_dataloader = dict(batch_size=256)
