# The ImageNet network in the code of IR-Net, RBNN and ReCU: a norm and Hardtanh before the stem's pool, 1x1
# convolutions with stride in the shortcuts, a norm before the classifier.
model = dict(
    type='cmim_mm.ImageClassifier',
    data_preprocessor=dict(type='cmim_mm.ClsDataPreProcessor', bgr_to_rgb=True),
    backbone=dict(
        type='cmim_mm.BinaryResNet', depth=18, binarizer='IRNet', block='hardtanh', stem='imagenet_pool_last',
        downsample='strided'),
    decode_head=dict(type='cmim_mm.ClsHead', in_channels=512, num_classes=1000, with_norm=True))
