# The control of seg_cmim_twin.py: the same binary activations regress the same map of the same teacher.
_base_ = './seg.py'
model = dict(
    teacher=dict(checkpoint='work_dirs/seg_twin/iter_1000.pth'),
    backbone=dict(taps=(2, )),
    auxiliary_head=dict(
        type='cmim_mm.FeatureRegressionHead', in_channels=[256], teacher_channels=[256], teacher_indices=[2],
        in_index=None, loss_weight=2.0))
