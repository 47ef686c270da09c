# Any binarizer: --cfg-options model.backbone.binarizer=ReCU
_base_ = ['./reactnet_r18_imagenet.py', '../_base_/cmim/same_pass.py']
model = _base_.cmim
