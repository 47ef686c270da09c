# Without a teacher: the entropy of the bits themselves, at the last binary convolution of three stages.
_base_ = './seg.py'
model = dict(
    backbone=dict(taps=(1, 2, 3)),
    auxiliary_head=dict(type='cmim_mm.BitEntropyHead', tap_weights=(1.0, 1.0, 1.0), loss_weight=0.1))
