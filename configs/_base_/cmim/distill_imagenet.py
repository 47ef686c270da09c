# As distill.py, for ImageNet. The published ResNet-18; a local copy:
# --cfg-options model.teacher.checkpoint=FILE
cmim = dict(
    teacher=dict(
        type='cmim_mm.FrozenTeacher',
        checkpoint='https://download.pytorch.org/models/resnet18-f37072fd.pth',
        model=dict(
            type='cmim_mm.ImageClassifier',
            backbone=dict(type='cmim_mm.BinaryResNet', depth=18, stem='imagenet', binarizer=None),
            decode_head=dict(type='cmim_mm.ClsHead', in_channels=512, num_classes=1000, with_norm=False))),
    decode_head=dict(distill=dict(temperature=4.0, weight=1.0)))
