# Positions contrasted with an ImageNet network's at the same place.
_base_ = ['./seg.py', '../_base_/cmim/dense_teacher.py', '../_base_/teachers/efficientnet_lite0.py']
model = dict(
    _base_.pop('cmim'), on=_base_.model.type, teacher=_base_.pop('teacher'),
    data_preprocessor=dict(teacher_scale=1.0))
