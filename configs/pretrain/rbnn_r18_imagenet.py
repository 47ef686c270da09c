_base_ = [
    '../_base_/models/cls_r18_hardtanh.py',
    '../_base_/datasets/imagenet.py',
    '../_base_/schedules/imagenet_sgd_120e.py',
    '../_base_/default_runtime.py',
]
model = dict(backbone=dict(binarizer='RBNN'))
optim_wrapper = dict(optimizer=dict(weight_decay=1e-4))
train_dataloader = dict(batch_size=64)
