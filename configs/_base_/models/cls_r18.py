model = dict(
    type='cmim_mm.ImageClassifier',
    data_preprocessor=dict(type='cmim_mm.ClsDataPreProcessor', bgr_to_rgb=True),
    backbone=dict(type='cmim_mm.BinaryResNet', depth=18, binarizer='ReActNet'),
    decode_head=dict(type='cmim_mm.ClsHead', in_channels=512, num_classes=1000))
