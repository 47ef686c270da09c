_base_ = [
    '../_base_/models/cls_r18.py',
    '../_base_/datasets/imagenet.py',
    '../_base_/schedules/imagenet_sgd_100e.py',
    '../_base_/default_runtime.py',
]
model = dict(backbone=dict(binarizer='IRNet'), decode_head=dict(num_classes=1000))
