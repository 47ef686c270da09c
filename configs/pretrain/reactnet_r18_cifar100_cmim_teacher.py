# The teacher is that of configs/pretrain/fp_r18_cifar100.py, trained first.
_base_ = ['./reactnet_r18_cifar100.py', '../_base_/cmim/teacher.py']
model = _base_.cmim
