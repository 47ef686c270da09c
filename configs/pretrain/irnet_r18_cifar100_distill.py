# The teacher is that of configs/pretrain/fp_r18_cifar100.py, trained first.
_base_ = './irnet_r18_cifar100.py'
model = dict(
    teacher=dict(type='cmim_mm.FrozenTeacher', checkpoint='work_dirs/fp_r18_cifar100/iter_156250.pth'),
    decode_head=dict(distill=dict(temperature=4.0, weight=1.0)))
