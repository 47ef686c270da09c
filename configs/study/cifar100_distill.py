# Plain distillation from the same teacher.
_base_ = './cifar100.py'
model = dict(
    teacher=dict(checkpoint='work_dirs/cifar100_fp/iter_7820.pth'),
    decode_head=dict(distill=dict(temperature=4.0, weight=1.0)))
