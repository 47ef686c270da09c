_base_ = ['./irnet_r18_cifar100.py', '../_base_/cmim/per_layer.py']
model = _base_.cmim
