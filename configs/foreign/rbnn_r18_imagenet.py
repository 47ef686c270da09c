_base_ = './irnet_r18_imagenet.py'
model = dict(backbone=dict(binarizer='RBNN'))
