_base_ = './irnet_r18_imagenet.py'
model = dict(
    backbone=dict(depth=34, stem='imagenet_linear', binarizer='ReActNet', block='react', downsample='full'),
    decode_head=dict(with_norm=False))
