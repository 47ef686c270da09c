_base_ = [
    '../_base_/models/cls_r18.py',
    '../_base_/datasets/indoor.py',
    '../_base_/schedules/indoor_adam_100e.py',
    '../_base_/default_runtime.py',
]
model = dict(backbone=dict(binarizer='IRNet'), decode_head=dict(num_classes=41, label_smoothing=0.1))
