# NYUD-v2 segmentation at the study's size: 12,000 training images of 240x320, of which the network sees half.
_base_ = '../nyud_seg_bnn_quick.py'
optim_wrapper = dict(type='cmim_mm.CPUAmpOptimWrapper')
train_dataloader = dict(batch_size=12, num_workers=0, persistent_workers=False)
test_dataloader = dict(num_workers=0, persistent_workers=False)
train_cfg = dict(max_iters=1000, val_interval=1000)
val_dataloader = None
val_evaluator = None
val_cfg = None
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=50),
    dict(type='PolyLR', eta_min=0.0, power=0.9, by_epoch=False, begin=50, end=1000),
]
default_hooks = dict(checkpoint=dict(
    _delete_=True, type='cmim_mm.AtomicCheckpointHook', by_epoch=False, interval=100, max_keep_ckpts=1))
