# Any binarizer: --cfg-options model.backbone.binarizer=ReCU
_base_ = ['./irnet_r20_cifar100.py', '../_base_/cmim/same_pass.py']
model = dict(_base_.cmim, neck=dict(_base_.cmim.neck, in_channels=[64]))
