# The teacher is that of configs/pretrain/fp_r18_cifar100.py, trained first.
_base_ = ['./reactnet_r18_cifar100.py', '../_base_/cmim/teacher.py']
model = dict(
    _base_.pop('cmim'), on=_base_.model.type,
    teacher=dict(checkpoint='work_dirs/fp_r18_cifar100/iter_156250.pth'))
