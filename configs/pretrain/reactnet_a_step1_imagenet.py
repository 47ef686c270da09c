# ReActNet-A: 256 epochs of 1,281,167 images at batch 256 (four GPUs with 64 each).
_base_ = './reactnet_r18_step1_imagenet.py'
model = dict(
    backbone=dict(
        _delete_=True, type='cmim_mm.BinaryMobileNet', binarizer=dict(type='ReActNet', real_weights=True)),
    decode_head=dict(in_channels=1024))
optim_wrapper = dict(optimizer=dict(lr=5e-4))
train_dataloader = dict(batch_size=64)
train_cfg = dict(max_iters=1281167)
param_scheduler = [
    dict(type='LinearLR', start_factor=1.0, end_factor=0.0, by_epoch=False, begin=0, end=1281167),
]
