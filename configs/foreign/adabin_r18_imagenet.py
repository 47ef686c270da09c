# AdaBin's public code: average pool and 1x1 convolution in the shortcuts.
_base_ = './irnet_r18_imagenet.py'
model = dict(backbone=dict(binarizer='AdaBin', block='maxout', downsample='full'))
