# What pretraining adds at CPU size: 102,400 images of 96x96 (10 epochs), then NYUD-v2 at 120x160 of 240x320.
#   --data-root data/nyud   --pretrain-root: indoor scenes and NYUD-v2's training frames (docs/results.md)
_pretraining = {
    'optim_wrapper.type': 'cmim_mm.CPUAmpOptimWrapper',
    'train_cfg.max_iters': 1600,
    'train_cfg.val_interval': 1600,
    'param_scheduler.0.end': 1600,
    'default_hooks.checkpoint.interval': 50,
    'train_dataloader.dataset.dataset.pipeline.1.size': 96,
    'train_dataloader.num_workers': 0,
    'train_dataloader.persistent_workers': False,
}
_low = {'optim_wrapper.paramwise_cfg.custom_keys.backbone.lr_mult': 0.1}
encoders = dict(
    scratch=dict(),
    unlabelled_cmim=dict(
        pretrain='../pretrain/reactnet_r18_unlabelled.py', options=_pretraining, finetune=_low),
    unlabelled_regression=dict(
        pretrain='../pretrain/reactnet_r18_unlabelled_regression.py', options=_pretraining, finetune=_low))
tasks = dict(segmentation=dict(config='../study/seg.py'), depth=dict(config='../study/depth.py'))
modes = dict(finetune={}, linear={'optim_wrapper.optimizer.lr': 1e-2})
seeds = [0, 1, 2]
baseline = 'scratch'
