# The teacher is that of cifar100_fp.py, trained first.
_base_ = ['./cifar100.py', '../_base_/cmim/teacher.py']
model = dict(
    _base_.pop('cmim'), on=_base_.model.type,
    teacher=dict(checkpoint='work_dirs/cifar100_fp/iter_7820.pth'))
