# As same_pass.py, but contrasts positions of the last map, on a grid; each is an anchor of its own.
cmim = dict(
    backbone=dict(taps=(-1, )),
    neck=dict(type='cmim_mm.ContrastiveMINeck', in_channels=[512], dim=128, pooling='spatial', grid=(6, 8)),
    auxiliary_head=dict(
        type='cmim_mm.CMIMHead',
        loss=dict(type='cmim_mm.CMIMLoss', form='nce', temperature=0.1),
        memory=dict(type='cmim_mm.MemoryBank', kind='queue', dim=128, num_negatives=4096, num_rows=16384),
        loss_weight=0.1))
