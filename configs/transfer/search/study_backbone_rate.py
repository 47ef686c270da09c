# Rates of the head and, a tenth or a thirtieth of it, of a pretrained encoder.
_base_ = '../study.py'
_head, _backbone = 'optim_wrapper.optimizer.lr', 'optim_wrapper.paramwise_cfg.custom_keys.backbone.lr_mult'
_pretrained = dict(
    _base_.encoders['unlabelled_cmim'], pretrain='../../pretrain/reactnet_r18_unlabelled.py', finetune={})
encoders = dict(_delete_=True, unlabelled_cmim=_pretrained)
tasks = dict(
    _delete_=True,
    segmentation_tenth=dict(config='../../study/seg.py', options={_head: 1e-3, _backbone: 0.1}),
    depth_tenth=dict(config='../../study/depth.py', options={_head: 1e-3, _backbone: 0.1}),
    segmentation_high_tenth=dict(config='../../study/seg.py', options={_head: 4e-3, _backbone: 0.1}),
    depth_high_tenth=dict(config='../../study/depth.py', options={_head: 4e-3, _backbone: 0.1}),
    segmentation_high_thirtieth=dict(config='../../study/seg.py', options={_head: 4e-3, _backbone: 0.03}))
modes = dict(_delete_=True, finetune={})
seeds = [0]
baseline = 'unlabelled_cmim'
