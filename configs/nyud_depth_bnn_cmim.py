# CMIM in the dense training itself. Any binarizer: --cfg-options model.backbone.binarizer=ReCU
_base_ = ['./nyud_depth_bnn.py', './_base_/cmim/dense.py']
model = _base_.cmim
