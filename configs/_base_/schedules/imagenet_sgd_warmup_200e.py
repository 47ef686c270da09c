# ReCU's recipe: 200 epochs of 1,281,167 images at batch 512 (four GPUs with 128 each), the rate rising from a
# fifth of itself over the first four.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=1e-4),
    # As in its code: only 3x3 convolutions, the stem and the classifier decay.
    paramwise_cfg=dict(norm_decay_mult=0.0, custom_keys=dict(
        downsample=dict(decay_mult=0.0), binarizer=dict(decay_mult=0.0))))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.2, by_epoch=False, begin=0, end=10009),
    dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=False, begin=10009, end=500456),
]
train_cfg = dict(type='cmim_mm.ResumableIterLoop', max_iters=500456, val_interval=12512)
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
