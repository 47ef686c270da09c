# As same_pass.py, at the last binary convolution of each stage of a ResNet-18 or -34; deeper ones weigh more.
cmim = dict(
    backbone=dict(taps=(0, 1, 2, 3)),
    neck=dict(type='cmim_mm.ContrastiveMINeck', in_channels=[64, 128, 256, 512], dim=128),
    auxiliary_head=dict(
        type='cmim_mm.CMIMHead',
        tap_weights=[0.125, 0.25, 0.5, 1.0],
        loss=dict(type='cmim_mm.CMIMLoss', form='nce', temperature=0.1),
        memory=dict(type='cmim_mm.MemoryBank', kind='bank', dim=128, num_negatives=4096),
        loss_weight=0.1))
