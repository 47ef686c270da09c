# ReActNet's first step: binary activations, real weights; the teacher's probabilities are the labels.
_base_ = [
    '../_base_/models/cls_r18_cifar.py',
    '../_base_/datasets/cifar100.py',
    '../_base_/schedules/cifar_sgd_400e.py',
    '../_base_/default_runtime.py',
]
model = dict(
    backbone=dict(binarizer=dict(_delete_=True, type='ReActNet', real_weights=True)),
    decode_head=dict(num_classes=100, labels='teacher'),
    teacher=dict(type='cmim_mm.FrozenTeacher', checkpoint='work_dirs/fp_r18_cifar100/iter_156250.pth'))
# Tensors of four dimensions decay, but not the thresholds of the binarizers.
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='Adam', lr=1e-3, weight_decay=1e-5),
    paramwise_cfg=dict(norm_decay_mult=0.0, custom_keys=dict(
        prelu=dict(decay_mult=0.0), decode_head=dict(decay_mult=0.0))))
param_scheduler = [
    dict(type='LinearLR', start_factor=1.0, end_factor=0.0, by_epoch=False, begin=0, end=156250),
]
