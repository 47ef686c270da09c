# CMIM between a_F and a_B = b(a_F) of one forward pass, at the last binary convolution. To be piled on any
# config: _base_ = ['./irnet_r18_cifar100.py', '../_base_/cmim/same_pass.py']; model = _base_.cmim
cmim = dict(
    backbone=dict(taps=(-1, )),
    neck=dict(type='cmim_mm.ContrastiveMINeck', in_channels=[512], dim=128),
    auxiliary_head=dict(
        type='cmim_mm.CMIMHead',
        loss=dict(type='cmim_mm.CMIMLoss', form='nce', temperature=0.1),
        memory=dict(type='cmim_mm.MemoryBank', kind='bank', dim=128, num_negatives=4096),
        loss_weight=0.1))
