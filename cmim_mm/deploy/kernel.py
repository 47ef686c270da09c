"""Which kernels this machine has, and which one the operators take: the best, or ``CMIM_MM_KERNEL``'s.

``torch`` is :mod:`cmim_mm.deploy.torch_path`; the others are compiled from ``kernels/``: ``serial``,
``avx2``, ``avx512bw``, ``avx512vpopcntdq``, ``neon``. The variable is read at every call; a name that is
unknown or that the machine does not support is an error there. Threads follow ``torch.set_num_threads``.
"""
import ctypes
import functools
import logging
import os
import threading
from typing import Optional, Union

import torch
from mmengine.logging import print_log

from .compiler import CannotCompile, build

VARIABLE = 'CMIM_MM_KERNEL'
_LOCK = threading.RLock()


def available_kernels() -> list[str]:
    """Names of the kernels that run here, the slowest first; compiles them if need be."""
    library = _library()
    compiled = library.cmim_mm_kernels().decode().split(',') if isinstance(library, ctypes.CDLL) else []
    return ['torch', *compiled]


def chosen_kernel() -> str:
    """The kernel that the operators take on a CPU.

    Raises:
        RuntimeError: ``CMIM_MM_KERNEL`` names one that does not run here.
    """
    forced, available = os.environ.get(VARIABLE), available_kernels()
    if forced and forced not in available:
        library = _library()
        why = f' ({library})' if isinstance(library, str) else ''
        raise RuntimeError(f'{VARIABLE}={forced}: no such kernel on this machine{why}; available are '
                           f'{", ".join(available)}')
    return forced or available[-1]


def load() -> bool:
    """Loads the compiled operators if they are to be used; False where torch alone computes.

    Raises:
        RuntimeError: See :func:`chosen_kernel`.
    """
    return os.environ.get(VARIABLE) != 'torch' and chosen_kernel() != 'torch'


def popcount_limit(kernel: Optional[str] = None, seconds: float = 0.2) -> float:
    """Binary operations a second of one core that does a kernel's inner loop on registers alone.

    A multiplication and an addition are two operations. The best of many short runs.

    Args:
        kernel: One of :func:`available_kernels` other than ``torch``; by default the chosen one.
        seconds: How long to measure.

    Raises:
        ValueError: The kernel is not compiled, or not there.
    """
    kernel, library = kernel or chosen_kernel(), _library()
    bits = library.cmim_mm_limit(kernel.encode(), seconds) if isinstance(library, ctypes.CDLL) else 0
    if not bits:
        raise ValueError(f'kernel={kernel!r} has no loop to measure; available are {available_kernels()}')
    return 2 * bits


def _library() -> Union[ctypes.CDLL, str]:
    """The compiled library, or why there is none."""
    with _LOCK:
        return _load_library()


@functools.cache
def _load_library() -> Union[ctypes.CDLL, str]:
    try:
        path = build()
        torch.ops.load_library(path)
        library = ctypes.CDLL(str(path))
    except (CannotCompile, OSError) as error:
        reason = f'the 1-bit kernels are not compiled: {error}'
        print_log(f'{reason}. The same is computed in torch, slowly', 'current', logging.WARNING)
        return reason
    library.cmim_mm_kernels.restype = ctypes.c_char_p
    library.cmim_mm_limit.restype = ctypes.c_double
    library.cmim_mm_limit.argtypes = ctypes.c_char_p, ctypes.c_double
    return library
