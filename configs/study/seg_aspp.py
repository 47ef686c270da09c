# A head that can be 1-bit, but for its classifier:
#   --vary model.decode_head.conv_cfg.type=Conv2d,cmim_mm.BinaryConv2d
_base_ = './seg.py'
model = dict(
    backbone=dict(output_stride=16),
    decode_head=dict(
        _delete_=True,
        type='cmim_mm.ASPPHead',
        in_channels=512,
        in_index=3,
        channels=128,
        dilations=(1, 6, 12, 18),
        dropout_ratio=0.1,
        num_classes=40,
        conv_cfg=dict(type='Conv2d'),
        norm_cfg=dict(type='cmim_mm.BatchNorm', requires_grad=True),
        act_cfg=dict(type='PReLU'),
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, avg_non_ignore=True)))
