# As dense.py, against positions of other classes only: for segmentation.
cmim = dict(
    backbone=dict(taps=(-1, )),
    neck=dict(type='cmim_mm.ContrastiveMINeck', in_channels=[512], dim=128, pooling='spatial', grid=(6, 8)),
    auxiliary_head=dict(
        type='cmim_mm.CMIMHead',
        loss=dict(type='cmim_mm.CMIMLoss', form='nce', temperature=0.1),
        memory=dict(
            type='cmim_mm.MemoryBank', kind='queue', dim=128, num_negatives=4096, num_rows=16384,
            other_classes_only=True),
        loss_weight=0.1))
