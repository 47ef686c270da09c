# The ImageNet network with a segmentation head, fine-tuned by study/seg_efficientnet.py.
teacher = dict(
    model=dict(
        type='cmim_mm.EncoderDecoder',
        backbone=dict(type='cmim_mm.EfficientNetLite'),
        decode_head=dict(
            type='cmim_mm.SegformerHead',
            in_channels=[24, 40, 112, 320],
            in_index=[0, 1, 2, 3],
            channels=128,
            dropout_ratio=0.1,
            num_classes=40,
            norm_cfg=dict(type='BN', requires_grad=True),
            align_corners=False,
            loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, avg_non_ignore=True)),
        test_cfg=dict(mode='whole')),
    checkpoint='work_dirs/seg_efficientnet/iter_1000.pth',
    mean=[127.0],
    std=[128.0])
