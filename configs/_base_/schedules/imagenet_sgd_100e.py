# The recipe in IR-Net's code, whose batch of 2048 is 512 here (four GPUs with 128 each), with the rate in
# proportion: 100 epochs of 1,281,167 images, four of them warm-up, a tenth of the rate at 30, 60, 90 %.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.2, momentum=0.9, nesterov=True, weight_decay=1e-5),
    # Scales, angles and thresholds of the binarizers do not decay.
    paramwise_cfg=dict(custom_keys=dict(binarizer=dict(decay_mult=0.0))))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.25, by_epoch=False, begin=0, end=10000),
    dict(type='MultiStepLR', milestones=[75000, 150000, 225000], by_epoch=False, begin=10000, end=250000),
]
train_cfg = dict(type='cmim_mm.ResumableIterLoop', max_iters=250000, val_interval=12500)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=100, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(
        type='cmim_mm.AtomicCheckpointHook', by_epoch=False, interval=12500, max_keep_ckpts=1,
        save_best='accuracy/top1'),
    sampler_seed=dict(type='DistSamplerSeedHook'))
