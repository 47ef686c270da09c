# At which share of the head's learning rate a pretrained encoder should be fine-tuned (study.py: the same).
_base_ = '../study.py'
_backbone = 'optim_wrapper.paramwise_cfg.custom_keys.backbone.lr_mult'
_pretrained = dict(_base_.encoders['unlabelled_cmim'], pretrain='../../pretrain/reactnet_r18_unlabelled.py')
encoders = dict(_delete_=True, unlabelled_cmim=_pretrained)
tasks = dict(
    _delete_=True,
    segmentation_tenth=dict(config='../../study/seg.py', options={_backbone: 0.1}),
    depth_tenth=dict(config='../../study/depth.py', options={_backbone: 0.1}),
    segmentation_third=dict(config='../../study/seg.py', options={_backbone: 0.3}),
    depth_third=dict(config='../../study/depth.py', options={_backbone: 0.3}),
    segmentation_thirtieth=dict(config='../../study/seg.py', options={_backbone: 0.03}))
modes = dict(_delete_=True, finetune={})
seeds = [0]
baseline = 'unlabelled_cmim'
