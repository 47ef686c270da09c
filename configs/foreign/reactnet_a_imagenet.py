# ReActNet-A, ReActNet's public code (its folder mobilenet).
_base_ = './irnet_r18_imagenet.py'
model = dict(
    backbone=dict(_delete_=True, type='cmim_mm.BinaryMobileNet', binarizer='ReActNet', block='react'),
    decode_head=dict(in_channels=1024, with_norm=False))
