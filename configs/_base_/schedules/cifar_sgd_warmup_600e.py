# ReCU's recipe for CIFAR: 600 epochs of 50,000 images at batch 256 (set by the config), the rate rising from
# a fifth of itself over the first four.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=5e-4),
    # Scales, angles and thresholds of the binarizers do not decay.
    paramwise_cfg=dict(custom_keys=dict(binarizer=dict(decay_mult=0.0))))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.2, by_epoch=False, begin=0, end=781),
    dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=False, begin=781, end=117188),
]
train_cfg = dict(type='cmim_mm.ResumableIterLoop', max_iters=117188, val_interval=1953)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=100, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(
        type='cmim_mm.AtomicCheckpointHook', by_epoch=False, interval=1953, max_keep_ckpts=1,
        save_best='accuracy/top1'),
    sampler_seed=dict(type='DistSamplerSeedHook'))
