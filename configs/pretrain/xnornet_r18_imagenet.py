# The rules of the PyTorch code for AlexNet: Adam, a tenth of the rate every 25 epochs of 1,281,167 images at
# batch 256 (four GPUs with 64 each); 100 of its 200 epochs (the rate would fall to 1e-7).
_base_ = './bireal_r18_imagenet.py'
model = dict(backbone=dict(binarizer='XNORNet', stem='imagenet'), decode_head=dict(label_smoothing=0.0))
optim_wrapper = dict(
    optimizer=dict(weight_decay=1e-5), paramwise_cfg=dict(custom_keys=dict(binarizer=dict(decay_mult=0.0))))
param_scheduler = [
    dict(type='MultiStepLR', milestones=[125114, 250228, 375342], by_epoch=False, begin=0, end=500456),
]
train_cfg = dict(max_iters=500456)
train_dataloader = dict(batch_size=64)
