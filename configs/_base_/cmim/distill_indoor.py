# As distill.py, for indoor scenes.
cmim = dict(
    teacher=dict(
        type='cmim_mm.FrozenTeacher',
        checkpoint='work_dirs/fp_r18_indoor/iter_16000.pth',
        model=dict(
            type='cmim_mm.ImageClassifier',
            backbone=dict(type='cmim_mm.BinaryResNet', depth=18, stem='imagenet', binarizer=None),
            decode_head=dict(type='cmim_mm.ClsHead', in_channels=512, num_classes=41, with_norm=False))),
    decode_head=dict(distill=dict(temperature=4.0, weight=1.0)))
