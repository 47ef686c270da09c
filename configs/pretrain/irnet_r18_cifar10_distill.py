# The teacher is that of configs/pretrain/fp_r18_cifar10.py, trained first.
_base_ = ['./irnet_r18_cifar10.py', '../_base_/cmim/distill_cifar10.py']
model = _base_.cmim
