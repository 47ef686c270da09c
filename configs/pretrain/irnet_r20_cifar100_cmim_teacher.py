# The teacher is that of configs/pretrain/fp_r20_cifar100.py, trained first.
_base_ = ['./irnet_r20_cifar100.py', '../_base_/cmim/teacher_r20.py']
model = _base_.cmim
