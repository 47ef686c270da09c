# An encoder from images alone: positions of its binary activations contrasted with an ImageNet network's maps
# of the same images. No label is read; any train/<folder>/<image> will do.
_base_ = [
    '../_base_/models/cls_r18.py',
    '../_base_/datasets/indoor.py',
    '../_base_/schedules/indoor_adam_100e.py',
    '../_base_/default_runtime.py',
    '../_base_/cmim/dense_teacher.py',
    '../_base_/teachers/efficientnet_lite0.py',
]
cmim = _base_.pop('cmim')
cmim.cmim.taps = (1, 2, 3)
cmim.cmim.neck.latent.indices = (-2, -1, -1)
cmim.cmim.head.memory.num_negatives = 1024
model = dict(
    cmim, on=_base_.model.type, decode_head=None, teacher=dict(_base_.pop('teacher'), input_scale=2.0))
val_dataloader = None
val_evaluator = None
val_cfg = None
test_dataloader = None
test_evaluator = None
test_cfg = None
default_hooks = dict(checkpoint=dict(
    _delete_=True, type='cmim_mm.AtomicCheckpointHook', by_epoch=False, interval=800, max_keep_ckpts=1))
