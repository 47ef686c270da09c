# A search before ../study.py: half and twice 0.001 in every layer, for the baseline and CMIM's encoder.
_base_ = '../study.py'
_low, _high = {'optim_wrapper.optimizer.lr': 5e-4}, {'optim_wrapper.optimizer.lr': 2e-3}
_pretrained = dict(
    _base_.encoders['unlabelled_cmim'], pretrain='../../pretrain/reactnet_r18_unlabelled.py', finetune={})
encoders = dict(_delete_=True, scratch=dict(), unlabelled_cmim=_pretrained)
tasks = dict(
    _delete_=True,
    segmentation_low=dict(config='../../study/seg.py', options=_low),
    segmentation_high=dict(config='../../study/seg.py', options=_high),
    depth_low=dict(config='../../study/depth.py', options=_low),
    depth_high=dict(config='../../study/depth.py', options=_high))
modes = dict(_delete_=True, finetune={})
seeds = [0]
