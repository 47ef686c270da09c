from .cls_head import ClsHead
from .depth_head import DepthHead

__all__ = ['ClsHead', 'DepthHead']
