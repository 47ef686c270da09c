# As dense.py, against positions of other classes only: for segmentation.
cmim = dict(
    type='cmim_mm.CMIM',
    cmim=dict(
        neck=dict(pooling='spatial'),
        head=dict(negatives='other_classes', memory=dict(type='Queue', num_rows=16384), loss_weight=0.1)))
