# The full-precision twin, teacher of seg_{cmim,regression,distill}_twin.py.
_base_ = './seg.py'
model = dict(backbone=dict(binarizer=None))
