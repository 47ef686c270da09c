# CMIM without a teacher: positions of the two sides of one pass, against those of other classes. A reference.
_base_ = ['./nyud_seg_bnn_quick.py', './_base_/cmim/dense_classes.py']
model = dict(_base_.pop('cmim'), on=_base_.model.type)
