# The control of reactnet_r18_unlabelled.py: feature maps regress the same maps, without a contrast.
_base_ = [
    '../_base_/models/cls_r18.py',
    '../_base_/datasets/indoor.py',
    '../_base_/schedules/indoor_adam_100e.py',
    '../_base_/default_runtime.py',
    '../_base_/teachers/efficientnet_lite0.py',
]
model = dict(
    decode_head=None,
    auxiliary_head=dict(
        type='cmim_mm.FeatureRegressionHead', in_channels=[128, 256, 512], in_index=[1, 2, 3],
        teacher_channels=[112, 320, 320], teacher_indices=[-2, -1, -1]),
    teacher=dict(_base_.pop('teacher'), input_scale=2.0))
val_dataloader = None
val_evaluator = None
val_cfg = None
test_dataloader = None
test_evaluator = None
test_cfg = None
default_hooks = dict(checkpoint=dict(
    _delete_=True, type='cmim_mm.AtomicCheckpointHook', by_epoch=False, interval=800, max_keep_ckpts=1))
