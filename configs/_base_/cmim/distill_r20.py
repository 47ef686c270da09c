# As distill.py, for ResNet-20 on CIFAR-100, whose teacher is its own full-precision twin.
cmim = dict(
    teacher=dict(
        type='cmim_mm.FrozenTeacher',
        checkpoint='work_dirs/fp_r20_cifar100/iter_156250.pth',
        model=dict(
            type='cmim_mm.ImageClassifier',
            backbone=dict(type='cmim_mm.BinaryResNet', depth=20, stem='cifar', binarizer=None),
            decode_head=dict(type='cmim_mm.ClsHead', in_channels=64, num_classes=100, with_norm=True))),
    decode_head=dict(distill=dict(temperature=4.0, weight=1.0)))
