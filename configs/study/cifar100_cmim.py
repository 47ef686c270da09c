# The paper's form.
_base_ = ['./cifar100.py', '../_base_/cmim/same_pass.py']
model = dict(_base_.pop('cmim'), on=_base_.model.type)
