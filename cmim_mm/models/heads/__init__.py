from .bit_entropy_head import BitEntropyHead
from .cls_head import ClsHead
from .cmim_head import CMIMHead
from .depth_head import DepthHead
from .feature_regression_head import FeatureRegressionHead
from .linear_depth_head import LinearDepthHead
from .seg_heads import ASPPHead, DepthwiseSeparableASPPHead, FCNHead, SegformerHead, UPerHead

__all__ = [
    'ASPPHead', 'BitEntropyHead', 'CMIMHead', 'ClsHead', 'DepthHead', 'DepthwiseSeparableASPPHead', 'FCNHead',
    'FeatureRegressionHead', 'LinearDepthHead', 'SegformerHead', 'UPerHead',
]
