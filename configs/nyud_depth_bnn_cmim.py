# CMIM in the dense training itself. Any binarizer: --cfg-options model.backbone.binarizer=ReCU
_base_ = ['./nyud_depth_bnn.py', './_base_/cmim/dense.py']
model = dict(_base_.pop('cmim'), on=_base_.model.type)
