# The form of CMIM's public code: last pooled feature of the encoder against the teacher's, embeddings that no
# optimizer trains, positives from the bank, negatives of other classes. Without its defects (docs/cmim.md).
cmim = dict(
    backbone=dict(taps=(-1, )),
    neck=dict(
        type='cmim_mm.ContrastiveMINeck',
        in_channels=[512],
        dim=128,
        trained=False,
        standardize=False,
        feature_indices=(-1, ),
        teacher=dict(
            type='cmim_mm.FrozenTeacher',
            # Another one: --cfg-options model.neck.teacher.checkpoint=FILE
            checkpoint='work_dirs/fp_r18_cifar100/iter_156250.pth',
            prefix='backbone.',
            model=dict(type='cmim_mm.BinaryResNet', depth=18, stem='cifar', binarizer=None))),
    auxiliary_head=dict(
        type='cmim_mm.CMIMHead',
        loss=dict(type='cmim_mm.CMIMLoss', form='nce', temperature=0.1),
        memory=dict(
            type='cmim_mm.MemoryBank', kind='bank', dim=128, num_negatives=4096, momentum=0.5,
            other_classes_only=True, positive='bank'),
        loss_weight=3.2))
