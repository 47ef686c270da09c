# Positions contrasted with the full-precision twin's at the same place, trained first by depth_twin.py.
_base_ = ['./depth.py', '../_base_/cmim/dense_teacher.py']
_base_.cmim.cmim.neck.latent.indices = (2, )
model = dict(
    _base_.pop('cmim'), on=_base_.model.type, teacher=dict(checkpoint='work_dirs/depth_twin/iter_1000.pth'))
