from .cls_head import ClsHead
from .cmim_head import CMIMHead
from .depth_head import DepthHead
from .linear_depth_head import LinearDepthHead

__all__ = ['CMIMHead', 'ClsHead', 'DepthHead', 'LinearDepthHead']
