# As teacher.py, for ImageNet. The published ResNet-18; a local copy:
# --cfg-options model.neck.teacher.checkpoint=FILE
cmim = dict(
    backbone=dict(taps=(-1, )),
    neck=dict(
        type='cmim_mm.ContrastiveMINeck',
        in_channels=[512],
        dim=128,
        trained=False,
        standardize=True,
        teacher=dict(
            type='cmim_mm.FrozenTeacher',
            checkpoint='https://download.pytorch.org/models/resnet18-f37072fd.pth',
            prefix=None,
            model=dict(type='cmim_mm.BinaryResNet', depth=18, stem='imagenet', binarizer=None))),
    auxiliary_head=dict(
        type='cmim_mm.CMIMHead',
        loss=dict(type='cmim_mm.CMIMLoss', form='nce', temperature=0.1),
        memory=dict(type='cmim_mm.MemoryBank', kind='bank', dim=128, num_negatives=4096),
        loss_weight=0.8))
