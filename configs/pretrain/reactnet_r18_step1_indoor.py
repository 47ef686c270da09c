# ReActNet's first step: binary activations, real weights; the teacher's probabilities are the labels.
_base_ = [
    '../_base_/models/cls_r18.py',
    '../_base_/datasets/indoor.py',
    '../_base_/schedules/indoor_adam_100e.py',
    '../_base_/default_runtime.py',
]
model = dict(
    backbone=dict(binarizer=dict(_delete_=True, type='ReActNet', real_weights=True)),
    decode_head=dict(num_classes=41, label_smoothing=0.0, labels='teacher'),
    teacher=dict(type='cmim_mm.FrozenTeacher', checkpoint='work_dirs/fp_r18_indoor/iter_16000.pth'))
# Tensors of four dimensions decay, but not the thresholds of the binarizers.
optim_wrapper = dict(
    optimizer=dict(weight_decay=1e-5),
    paramwise_cfg=dict(norm_decay_mult=0.0, custom_keys=dict(
        prelu=dict(decay_mult=0.0), decode_head=dict(decay_mult=0.0), binarizer=dict(decay_mult=0.0))))
