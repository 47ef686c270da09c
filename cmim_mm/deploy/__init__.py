"""From a trained model to 1-bit inference: a file of bits, operators on them, and the model around these."""
from importlib import import_module

#: Name -> the module that has it.
_PLACES = {'available_kernels': 'kernel', 'export': 'exporting', 'keep_memory': 'memory', 'load': 'loading',
           'pack': 'packing', 'pack_checkpoint': 'packing', 'read': 'format', 'write': 'format'}
__all__ = list(_PLACES)


def __getattr__(name: str):
    # Heavy imports wait for the first use.
    if name not in _PLACES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(import_module(f'.{_PLACES[name]}', __name__), name)
