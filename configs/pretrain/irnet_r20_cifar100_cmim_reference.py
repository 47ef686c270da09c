# The teacher is that of configs/pretrain/fp_r20_cifar100.py, trained first.
_base_ = ['./irnet_r20_cifar100.py', '../_base_/cmim/reference.py']
model = dict(
    _base_.pop('cmim'), on=_base_.model.type,
    teacher=dict(checkpoint='work_dirs/fp_r20_cifar100/iter_156250.pth'))
