model = dict(
    type='cmim_mm.EncoderDecoder',
    data_preprocessor=dict(
        type='cmim_mm.DenseDataPreProcessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True),
    backbone=dict(type='cmim_mm.BinaryResNet', depth=18, binarizer='ReActNet', output_stride=16),
    decode_head=dict(
        type='cmim_mm.ASPPHead',
        in_channels=512,
        in_index=3,
        channels=128,
        dilations=(1, 6, 12, 18),
        dropout_ratio=0.1,
        num_classes=40,
        norm_cfg=dict(type='cmim_mm.BatchNorm', requires_grad=True),
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, avg_non_ignore=True)),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))
