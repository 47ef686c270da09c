_base_ = './reactnet_r18_indoor.py'
model = dict(backbone=dict(binarizer=None))
