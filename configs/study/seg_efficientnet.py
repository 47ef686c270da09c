# The full-precision ImageNet network itself, fine-tuned alike; it sees the whole 240x320.
_base_ = ['./seg.py', '../_base_/teachers/efficientnet_lite0_segformer.py']
_network = _base_.pop('teacher').model
model = dict(
    data_preprocessor=dict(mean=[127.0, 127.0, 127.0], std=[128.0, 128.0, 128.0], input_scale=1.0),
    backbone=dict(_network.backbone, _delete_=True),
    decode_head=_network.decode_head)
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.1))))
