# The teacher is that of configs/pretrain/fp_r18_cifar100.py, trained first.
_base_ = ['./irnet_r18_cifar100.py', '../_base_/cmim/reference.py']
model = _base_.cmim
