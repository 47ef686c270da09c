# Any binarizer: --cfg-options model.backbone.binarizer=ReCU
_base_ = ['./reactnet_r18_cifar10.py', '../_base_/cmim/same_pass.py']
model = _base_.cmim
