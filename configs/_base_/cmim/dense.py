# As same_pass.py, but each position of the last map is an anchor, against a queue of positions.
cmim = dict(
    type='cmim_mm.CMIM',
    cmim=dict(
        neck=dict(pooling='spatial'),
        head=dict(memory=dict(type='Queue', num_rows=16384), loss_weight=0.1)))
