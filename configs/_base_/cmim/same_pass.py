# CMIM between a_F and a_B = b(a_F) of one forward pass, at the last binary convolution. Any variant here is
# piled on any config by
#     _base_ = ['./irnet_r18_cifar100.py', '../_base_/cmim/same_pass.py']
#     model = dict(_base_.pop('cmim'), on=_base_.model.type)
# Negatives from a queue, for data of any size: --cfg-options model.cmim.head.memory.type=Queue
# From the batch, with gradients: model.cmim.head.memory.type=InBatch model.cmim.head.loss.form=infonce
cmim = dict(type='cmim_mm.CMIM', cmim=dict(head=dict(loss_weight=0.1)))
