_base_ = ['./irnet_r18_cifar100.py', '../_base_/cmim/per_layer.py']
model = dict(_base_.pop('cmim'), on=_base_.model.type)
