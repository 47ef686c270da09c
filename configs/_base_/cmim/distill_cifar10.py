# As distill.py, for CIFAR-10.
cmim = dict(
    teacher=dict(
        type='cmim_mm.FrozenTeacher',
        checkpoint='work_dirs/fp_r18_cifar10/iter_156250.pth',
        model=dict(
            type='cmim_mm.ImageClassifier',
            backbone=dict(type='cmim_mm.BinaryResNet', depth=18, stem='cifar', binarizer=None),
            decode_head=dict(type='cmim_mm.ClsHead', in_channels=512, num_classes=10, with_norm=True))),
    decode_head=dict(distill=dict(temperature=4.0, weight=1.0)))
