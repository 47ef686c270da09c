# An encoder from images alone, without a teacher: the binary activations of an image, at the end of the
# network, against a moving average's full-precision ones of another crop in other colours. No label is read;
# any train/<folder>/<image> will do.
_base_ = [
    '../_base_/models/cls_r18.py',
    '../_base_/datasets/indoor.py',
    '../_base_/schedules/indoor_adam_100e.py',
    '../_base_/default_runtime.py',
    '../_base_/cmim/same_pass.py',
]
cmim = _base_.pop('cmim')
cmim.cmim.neck = dict(latent=dict(
    type='MovingAverage', second_view=True, area_range=(0.25, 1.0), colour=0.5))
cmim.cmim.head = dict(
    memory=dict(type='Queue', num_rows=4096), loss=dict(form='infonce', temperature=0.2), loss_weight=1.0)
model = dict(cmim, on=_base_.model.type, decode_head=None)
val_dataloader = None
val_evaluator = None
val_cfg = None
test_dataloader = None
test_evaluator = None
test_cfg = None
default_hooks = dict(checkpoint=dict(
    _delete_=True, type='cmim_mm.AtomicCheckpointHook', by_epoch=False, interval=800, max_keep_ckpts=1))
