# The teacher is the published ResNet-18; a local copy: --cfg-options model.teacher.checkpoint=FILE
_base_ = ['./irnet_r18_imagenet.py', '../_base_/cmim/teacher.py']
model = dict(
    _base_.pop('cmim'), on=_base_.model.type,
    teacher=dict(
        checkpoint='https://download.pytorch.org/models/resnet18-f37072fd.pth',
        model=dict(type='cmim_mm.BinaryResNet', depth=18, binarizer=None)))
