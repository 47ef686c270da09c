# The control without a contrast: plain distillation from the same teacher, T^2 KL at T = 4 beside the
# cross-entropy. The teacher is a whole classifier here.
cmim = dict(
    teacher=dict(
        type='cmim_mm.FrozenTeacher',
        # Another one: --cfg-options model.teacher.checkpoint=FILE
        checkpoint='work_dirs/fp_r18_cifar100/iter_156250.pth',
        model=dict(
            type='cmim_mm.ImageClassifier',
            backbone=dict(type='cmim_mm.BinaryResNet', depth=18, stem='cifar', binarizer=None),
            decode_head=dict(type='cmim_mm.ClsHead', in_channels=512, num_classes=100, with_norm=True))),
    decode_head=dict(distill=dict(temperature=4.0, weight=1.0)))
