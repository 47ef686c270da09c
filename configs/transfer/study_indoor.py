# Encoders from indoor scenes with labels, as the paper's, at CPU size: 102,400 images of 64x64 (10 epochs).
#   --data-root data/nyud   --pretrain-root data/indoor (train/<class>/, val/<class>/)
_pretraining = {
    'optim_wrapper.type': 'cmim_mm.CPUAmpOptimWrapper',
    'train_cfg.max_iters': 1600,
    'train_cfg.val_interval': 1600,
    'param_scheduler.0.end': 1600,
    'default_hooks.checkpoint.interval': 100,
    'train_dataloader.dataset.dataset.pipeline.1.size': 64,
    **{f'{split}_dataloader.{key}': value for split in ('train', 'val', 'test')
       for key, value in (('num_workers', 0), ('persistent_workers', False))},
    **{f'{split}_dataloader.dataset.pipeline.{key}': 64 for split in ('val', 'test')
       for key in ('1.scale', '2.crop_size')},
}
_low = {'optim_wrapper.paramwise_cfg.custom_keys.backbone.lr_mult': 0.1}
_taught = {**_pretraining, 'model.teacher.checkpoint': '{indoor_full_precision}'}
encoders = dict(
    scratch=dict(),
    indoor=dict(pretrain='../pretrain/reactnet_r18_indoor.py', options=_pretraining, finetune=_low),
    indoor_cmim=dict(
        pretrain='../pretrain/reactnet_r18_indoor_cmim.py', options=_pretraining, finetune=_low),
    indoor_cmim_teacher=dict(
        pretrain='../pretrain/reactnet_r18_indoor_cmim_teacher.py', options=_taught, finetune=_low),
    indoor_distill=dict(
        pretrain='../pretrain/reactnet_r18_indoor_distill.py', options=_taught, finetune=_low),
    indoor_full_precision=dict(
        pretrain='../pretrain/fp_r18_indoor.py', options=_pretraining, transfer=False))
tasks = dict(segmentation=dict(config='../study/seg.py'), depth=dict(config='../study/depth.py'))
modes = dict(finetune={}, linear={'optim_wrapper.optimizer.lr': 1e-2})
seeds = [0, 1, 2]
baseline = 'indoor'
