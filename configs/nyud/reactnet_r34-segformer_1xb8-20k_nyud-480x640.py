_base_ = '../nyud_seg_bnn.py'
model = dict(backbone=dict(depth=34))
