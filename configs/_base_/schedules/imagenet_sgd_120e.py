# The recipe in AdaBin's and RBNN's code: 120 epochs of 1,281,167 images at batch 256 (four GPUs with 64 each,
# set by the config).
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=1e-5),
    # Scales, angles and thresholds of the binarizers do not decay.
    paramwise_cfg=dict(custom_keys=dict(binarizer=dict(decay_mult=0.0))))
param_scheduler = [
    dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=False, begin=0, end=600547),
]
train_cfg = dict(type='cmim_mm.ResumableIterLoop', max_iters=600547, val_interval=5005)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=100, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(
        type='cmim_mm.AtomicCheckpointHook', by_epoch=False, interval=5005, max_keep_ckpts=1,
        save_best='accuracy/top1'),
    sampler_seed=dict(type='DistSamplerSeedHook'))
