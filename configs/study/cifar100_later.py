# Without a teacher: bits asked for what the next stage's activation knows, which the loss does not move.
_base_ = ['./cifar100.py', '../_base_/cmim/same_pass.py']
_base_.cmim.cmim.taps = (0, 1, 2)
_base_.cmim.cmim.neck = dict(latent=dict(type='LaterLayer', detach='latent'))
model = dict(_base_.pop('cmim'), on=_base_.model.type)
