_base_ = [
    '../_base_/models/cls_r18.py',
    '../_base_/datasets/imagenet.py',
    '../_base_/schedules/imagenet_adam_256e.py',
    '../_base_/default_runtime.py',
]
model = dict(decode_head=dict(num_classes=1000, label_smoothing=0.1))
