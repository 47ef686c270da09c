# Control: the same binary activations regress the same maps, without a contrast.
_base_ = ['./seg.py', '../_base_/teachers/efficientnet_lite0.py']
model = dict(
    backbone=dict(taps=(2, )),
    auxiliary_head=dict(
        type='cmim_mm.FeatureRegressionHead', in_channels=[256], teacher_channels=[320], in_index=None,
        loss_weight=2.0),
    teacher=_base_.pop('teacher'),
    data_preprocessor=dict(teacher_scale=1.0))
