from .kernel import available_kernels

__all__ = ['available_kernels']
