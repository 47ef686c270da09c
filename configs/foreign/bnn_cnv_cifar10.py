# CNV of FINN, as in Xilinx/BNN-PYNQ: the image is 2 v / 255 - 1, the classifier 1-bit too. Its public file
# holds bits and integer thresholds (import_bnn_pynq.py); trained here by IR-Net's schedule.
_base_ = [
    '../_base_/models/cls_r18_cifar.py',
    '../_base_/datasets/cifar10.py',
    '../_base_/schedules/cifar_sgd_400e.py',
    '../_base_/default_runtime.py',
]
model = dict(
    data_preprocessor=dict(mean=(127.5, ) * 3, std=(127.5, ) * 3),
    backbone=dict(_delete_=True, type='cmim_mm.BinaryCNV', binarizer='BNN'),
    decode_head=dict(in_channels=512, num_classes=10, with_norm=False, binarizer='BNN'))
