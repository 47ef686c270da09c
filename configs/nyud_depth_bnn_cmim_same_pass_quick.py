# CMIM without a teacher: positions of the two sides of one pass. A reference.
_base_ = ['./nyud_depth_bnn_quick.py', './_base_/cmim/dense.py']
model = dict(_base_.pop('cmim'), on=_base_.model.type)
