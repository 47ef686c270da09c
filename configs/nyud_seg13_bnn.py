# 13 classes, by the official 40-to-13 map at loading.
_base_ = './nyud_seg_bnn.py'
model = dict(decode_head=dict(num_classes=13))
train_dataloader = dict(dataset=dict(dataset=dict(num_classes=13)))
val_dataloader = dict(dataset=dict(num_classes=13))
test_dataloader = val_dataloader
