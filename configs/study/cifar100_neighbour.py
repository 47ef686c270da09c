# Without a teacher: the positive is another image, the most similar one of the batch.
_base_ = ['./cifar100.py', '../_base_/cmim/same_pass.py']
_base_.cmim.cmim.head.positives = 'neighbour'
model = dict(_base_.pop('cmim'), on=_base_.model.type)
