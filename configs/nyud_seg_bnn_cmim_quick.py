# CMIM in the dense training itself; the last map has 4 x 5 positions at this resolution.
# Any binarizer: --cfg-options model.backbone.binarizer=ReCU
_base_ = ['./nyud_seg_bnn_quick.py', './_base_/cmim/dense_classes.py']
model = dict(_base_.cmim, neck=dict(_base_.cmim.neck, grid=(4, 5)))
