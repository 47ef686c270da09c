# The latent side is the last feature map of a trained full-precision twin. Frozen random embeddings of
# standardized activations: what our pilot found best (docs/cmim.md).
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
            # Another one: --cfg-options model.neck.teacher.checkpoint=FILE
            checkpoint='work_dirs/fp_r18_cifar100/iter_156250.pth',
            prefix='backbone.',
            model=dict(type='cmim_mm.BinaryResNet', depth=18, stem='cifar', binarizer=None))),
    auxiliary_head=dict(
        type='cmim_mm.CMIMHead',
        loss=dict(type='cmim_mm.CMIMLoss', form='nce', temperature=0.1),
        memory=dict(type='cmim_mm.MemoryBank', kind='bank', dim=128, num_negatives=4096),
        loss_weight=0.8))
