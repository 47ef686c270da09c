# The study at full size, for GPUs: full schedules at the images' size, five seeds.
#   --data-root data/nyud   --pretrain-root data/indoor (train/<class>/, val/<class>/)
_teacher = {'model.teacher.checkpoint': '{indoor_full_precision}'}
encoders = dict(
    scratch=dict(),
    indoor=dict(pretrain='../pretrain/reactnet_r18_indoor.py'),
    indoor_cmim=dict(pretrain='../pretrain/reactnet_r18_indoor_cmim.py'),
    indoor_cmim_teacher=dict(pretrain='../pretrain/reactnet_r18_indoor_cmim_teacher.py', options=_teacher),
    indoor_distill=dict(pretrain='../pretrain/reactnet_r18_indoor_distill.py', options=_teacher),
    indoor_full_precision=dict(pretrain='../pretrain/fp_r18_indoor.py'),
    scratch_full_precision=dict(backbone=dict(binarizer=None)))
tasks = dict(
    segmentation=dict(config='../nyud_seg_bnn.py'),
    segmentation13=dict(config='../nyud_seg13_bnn.py'),
    depth=dict(config='../nyud_depth_bnn.py'))
modes = dict(finetune={}, frozen={}, linear={'optim_wrapper.optimizer.lr': 1e-2})
shares = [10, 25, 100]
seeds = [0, 1, 2, 3, 4]
baseline = 'indoor'
