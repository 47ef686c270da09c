# The teacher is that of configs/pretrain/fp_r18_indoor.py, trained first.
_base_ = ['./irnet_r18_indoor.py', '../_base_/cmim/distill_indoor.py']
model = _base_.cmim
