# Real NYUD-v2 at CPU size: shortened schedules, frames of 120x160, of which the network sees half (for larger
# ones lower input_scale). It shows the tool; what its figures say about encoders is for transfer/nyud.py.
#   --data-root data/nyud   --pretrain-root data/indoor (train/<class>/, val/<class>/)
_pretraining = {
    'train_cfg.max_iters': 400,
    'train_cfg.val_interval': 400,
    'param_scheduler.0.end': 400,
    'default_hooks.checkpoint.interval': 100,
    'train_dataloader.dataset.dataset.pipeline.1.size': 64,
    'val_dataloader.dataset.pipeline.1.scale': 64,
    'val_dataloader.dataset.pipeline.2.crop_size': 64,
    'test_dataloader.dataset.pipeline.1.scale': 64,
    'test_dataloader.dataset.pipeline.2.crop_size': 64,
    'train_dataloader.num_workers': 0,
    'train_dataloader.persistent_workers': False,
    'val_dataloader.num_workers': 0,
    'val_dataloader.persistent_workers': False,
    'test_dataloader.num_workers': 0,
    'test_dataloader.persistent_workers': False,
}
encoders = dict(
    scratch=dict(),
    indoor=dict(pretrain='../pretrain/reactnet_r18_indoor.py', options=_pretraining),
    indoor_cmim=dict(pretrain='../pretrain/reactnet_r18_indoor_cmim.py', options=_pretraining),
    full_precision=dict(backbone=dict(binarizer=None)))
tasks = dict(
    segmentation=dict(config='../nyud_seg_bnn_quick.py'),
    depth=dict(config='../nyud_depth_bnn_quick.py'))
modes = dict(finetune={}, linear={'optim_wrapper.optimizer.lr': 1e-2})
seeds = [0, 1, 2]
baseline = 'scratch'
options = {
    'model.data_preprocessor.input_scale': 0.5,
    'train_cfg.max_iters': 40,
    'param_scheduler.0.end': 10,
    'param_scheduler.1.begin': 10,
    'param_scheduler.1.end': 40,
    'default_hooks.checkpoint.interval': 40,
    'default_hooks.checkpoint.max_keep_ckpts': 1,
    'default_hooks.logger.interval': 10,
    'train_dataloader.num_workers': 0,
    'train_dataloader.persistent_workers': False,
    'test_dataloader.num_workers': 0,
    'test_dataloader.persistent_workers': False,
}
