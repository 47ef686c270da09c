# ReActNet's public code (its folder resnet): no nonlinearity in the stem, no norm before the classifier.
_base_ = './irnet_r18_imagenet.py'
model = dict(
    backbone=dict(stem='imagenet_linear', binarizer='ReActNet', block='react', downsample='full'),
    decode_head=dict(with_norm=False))
