# As seg_cmim_teacher.py, but the ImageNet network was fine-tuned on the task first.
_base_ = ['./seg.py', '../_base_/cmim/dense_teacher.py', '../_base_/teachers/efficientnet_lite0_segformer.py']
model = dict(
    _base_.pop('cmim'), on=_base_.model.type, teacher=_base_.pop('teacher'),
    data_preprocessor=dict(teacher_scale=1.0))
