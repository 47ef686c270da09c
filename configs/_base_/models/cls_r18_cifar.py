# As in the code of IR-Net, RBNN and AdaBin: ImageNet's mean and std, a norm before the classifier.
model = dict(
    type='cmim_mm.ImageClassifier',
    data_preprocessor=dict(type='cmim_mm.ClsDataPreProcessor', crop_padding=4, flip=True),
    backbone=dict(type='cmim_mm.BinaryResNet', depth=18, stem='cifar', binarizer='ReActNet'),
    decode_head=dict(type='cmim_mm.ClsHead', in_channels=512, num_classes=10, with_norm=True))
