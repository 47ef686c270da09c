from .cls_head import ClsHead
from .cmim_head import CMIMHead
from .depth_head import DepthHead

__all__ = ['CMIMHead', 'ClsHead', 'DepthHead']
