_base_ = [
    '../_base_/models/bnn_r18_upernet.py',
    '../_base_/datasets/nyud_seg.py',
    '../_base_/schedules/schedule_20k.py',
    '../_base_/default_runtime.py',
]
default_hooks = dict(checkpoint=dict(save_best='mIoU'))
