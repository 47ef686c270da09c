_base_ = [
    '../_base_/models/cls_r18.py',
    '../_base_/datasets/imagenet.py',
    '../_base_/schedules/imagenet_sgd_120e.py',
    '../_base_/default_runtime.py',
]
model = dict(
    backbone=dict(binarizer=dict(_delete_=True, type='AdaBin', t_min=1e-3), stem='imagenet_pool_last'),
    decode_head=dict(with_norm=True))
train_dataloader = dict(batch_size=64)
