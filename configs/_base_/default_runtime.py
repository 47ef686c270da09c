default_scope = 'mmseg'
env_cfg = dict(
    cudnn_benchmark=True,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'))
randomness = dict(seed=0)
vis_backends = [dict(type='LocalVisBackend')]  # add dict(type='TensorboardVisBackend')
visualizer = dict(type='cmim_mm.DenseVisualizer', vis_backends=vis_backends, name='visualizer')
log_processor = dict(by_epoch=False)
log_level = 'INFO'
load_from = None
resume = False
custom_hooks = [
    dict(type='cmim_mm.MemoryFormatHook'),
    dict(type='cmim_mm.BinarizationProgressHook'),
    dict(type='cmim_mm.SeedHook'),
    dict(type='cmim_mm.ReduceLossHook'),
    dict(type='cmim_mm.CheckDatasetHook'),
    dict(type='cmim_mm.MemoryBankHook'),
    dict(type='cmim_mm.FiniteLossHook'),
]
