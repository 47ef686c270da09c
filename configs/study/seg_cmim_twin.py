# The same contrast with the full-precision twin, trained first by seg_twin.py.
_base_ = ['./seg.py', '../_base_/cmim/dense_teacher.py']
_base_.cmim.cmim.neck.latent.indices = (2, )
model = dict(
    _base_.pop('cmim'), on=_base_.model.type, teacher=dict(checkpoint='work_dirs/seg_twin/iter_1000.pth'))
