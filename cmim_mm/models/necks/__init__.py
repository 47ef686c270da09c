from .contrastive_mi_neck import ContrastiveMINeck
from .standardize_neck import StandardizeNeck

__all__ = ['ContrastiveMINeck', 'StandardizeNeck']
