# A few minutes on 2 CPU cores with synthetic rooms (--data-root data/rooms). It shows the tool: figures of so
# short trainings say little about encoders. Pretraining is depth, on the training images of the same rooms.
_short = {
    'model.data_preprocessor.input_scale': 0.25,
    'train_cfg.max_iters': 30,
    'param_scheduler.0.end': 10,
    'param_scheduler.1.begin': 10,
    'param_scheduler.1.end': 30,
    'default_hooks.checkpoint.interval': 10,
    'default_hooks.checkpoint.max_keep_ckpts': 1,
    'default_hooks.logger.interval': 5,
    'train_dataloader.num_workers': 0,
    'train_dataloader.persistent_workers': False,
}
encoders = dict(
    scratch=dict(),
    rooms=dict(pretrain='../nyud_depth_bnn_quick.py', data_root='{data_root}', options={
        **_short, 'val_dataloader': None, 'val_evaluator': None, 'val_cfg': None}),
    full_precision=dict(backbone=dict(binarizer=None)))
tasks = dict(
    segmentation=dict(config='../nyud_seg_bnn_quick.py'),
    depth=dict(config='../nyud_depth_bnn_quick.py'))
modes = dict(finetune={}, linear={
    'optim_wrapper.optimizer.lr': 1e-2, 'train_cfg.max_iters': 60, 'param_scheduler.1.end': 60})
seeds = [0, 1, 2]
baseline = 'scratch'
options = {
    **_short, 'test_dataloader.num_workers': 0, 'test_dataloader.persistent_workers': False}
