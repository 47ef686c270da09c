# Bi-Real's recipe: 256 epochs of 1,281,167 images at batch 512 (four GPUs with 128 each), no weight decay.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='Adam', lr=1e-3, weight_decay=0.0, fused=True))
param_scheduler = [
    dict(type='LinearLR', start_factor=1.0, end_factor=0.0, by_epoch=False, begin=0, end=640584),
]
train_cfg = dict(type='cmim_mm.ResumableIterLoop', max_iters=640584, val_interval=12512)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=100, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(
        type='cmim_mm.AtomicCheckpointHook', by_epoch=False, interval=12512, max_keep_ckpts=1,
        save_best='accuracy/top1'),
    sampler_seed=dict(type='DistSamplerSeedHook'))
