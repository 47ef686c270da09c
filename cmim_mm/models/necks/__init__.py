from .contrastive_mi_neck import ContrastiveMINeck

__all__ = ['ContrastiveMINeck']
