# The full-precision twin, teacher of depth_cmim_twin.py.
_base_ = './depth.py'
model = dict(backbone=dict(binarizer=None))
