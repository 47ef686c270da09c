_base_ = [
    '../_base_/models/cls_r18_hardtanh.py',
    '../_base_/datasets/imagenet.py',
    '../_base_/schedules/imagenet_sgd_warmup_200e.py',
    '../_base_/default_runtime.py',
]
model = dict(backbone=dict(binarizer='ReCU'))
