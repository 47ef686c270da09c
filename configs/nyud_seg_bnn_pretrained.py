# From the encoder of zoo/reactnet_r18_unlabelled.md, which learned by CMIM without labels.
_base_ = './nyud_seg_bnn.py'
model = dict(backbone=dict(init_cfg=dict(
    type='Pretrained', checkpoint='zoo/reactnet_r18_unlabelled-e2637a0a.safetensors', prefix='backbone.')))
optim_wrapper = dict(
    optimizer=dict(lr=4e-3), paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.1))))
