# As same_pass.py, but InfoNCE: negatives are the other images of the batch (of all ranks), with gradients.
cmim = dict(
    backbone=dict(taps=(-1, )),
    neck=dict(type='cmim_mm.ContrastiveMINeck', in_channels=[512], dim=128),
    auxiliary_head=dict(
        type='cmim_mm.CMIMHead',
        loss=dict(type='cmim_mm.CMIMLoss', form='infonce', temperature=0.1),
        memory=dict(type='cmim_mm.MemoryBank', kind='batch', dim=128, num_negatives=4096),
        loss_weight=0.1))
