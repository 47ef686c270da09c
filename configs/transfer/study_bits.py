# What one bit costs: the full-precision twin beside the 1-bit network, from random weights and pretrained.
_base_ = './study.py'
_regression = _base_.encoders['unlabelled_regression']
_twin = dict(_regression, options={**_regression['options'], 'model.backbone.binarizer': None})
encoders = dict(
    _delete_=True,
    scratch=dict(),
    scratch_twin=dict(backbone=dict(binarizer=None)),
    unlabelled_regression=_regression,
    unlabelled_regression_twin=_twin)
