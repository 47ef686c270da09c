# Without a teacher: a moving average of the encoder on the latent side.
# Of another crop and flip of the images: --cfg-options model.cmim.neck.latent.second_view=True
_base_ = ['./cifar100.py', '../_base_/cmim/same_pass.py']
_base_.cmim.cmim.neck = dict(latent=dict(type='MovingAverage'))
model = dict(_base_.pop('cmim'), on=_base_.model.type)
