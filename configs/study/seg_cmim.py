# Without a teacher: positions of the two sides of one pass.
_base_ = ['./seg.py', '../_base_/cmim/dense.py']
model = dict(_base_.pop('cmim'), on=_base_.model.type)
