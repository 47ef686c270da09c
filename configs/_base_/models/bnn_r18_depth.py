model = dict(
    type='cmim_mm.DepthEstimator',
    data_preprocessor=dict(
        type='cmim_mm.DenseDataPreProcessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True),
    backbone=dict(type='cmim_mm.BinaryResNet', depth=18, binarizer='ReActNet'),
    decode_head=dict(
        type='cmim_mm.DepthHead',
        in_channels=[64, 128, 256, 512],
        in_index=[0, 1, 2, 3],
        channels=64,
        max_depth=10.0,
        norm_cfg=dict(type='BN', requires_grad=True),
        align_corners=False,
        loss_decode=dict(type='cmim_mm.SiLogLoss', loss_weight=1.0)),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))
