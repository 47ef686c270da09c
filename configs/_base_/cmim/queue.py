# As same_pass.py, with negatives from the last 65,536 embeddings, for data sets of any size.
cmim = dict(
    backbone=dict(taps=(-1, )),
    neck=dict(type='cmim_mm.ContrastiveMINeck', in_channels=[512], dim=128),
    auxiliary_head=dict(
        type='cmim_mm.CMIMHead',
        loss=dict(type='cmim_mm.CMIMLoss', form='nce', temperature=0.1),
        memory=dict(type='cmim_mm.MemoryBank', kind='queue', dim=128, num_negatives=4096, num_rows=65536),
        loss_weight=0.1))
