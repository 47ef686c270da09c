# Any binarizer: --cfg-options model.backbone.binarizer=ReCU
_base_ = ['./reactnet_r18_indoor.py', '../_base_/cmim/same_pass.py']
model = _base_.cmim
