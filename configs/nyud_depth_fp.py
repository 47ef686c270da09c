# The full-precision twin: the same network, data and schedule without the 1-bit convolutions.
_base_ = './nyud_depth_bnn.py'
model = dict(backbone=dict(binarizer=None))
