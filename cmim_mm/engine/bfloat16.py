"""Where bfloat16 is faster than float32."""
from pathlib import Path

import torch

#: Flags of processors that multiply bfloat16 themselves: x86 with AVX-512 or AMX, and ARM.
FLAGS = {'avx512_bf16', 'amx_bf16', 'bf16', 'svebf16'}


def has_fast_bfloat16() -> bool:
    """Whether the GPU, or without one the processor, has instructions for it (else it goes by float32)."""
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported()
    try:
        flags = Path('/proc/cpuinfo').read_text(encoding='utf-8').split()
    except OSError:  # not Linux
        return False
    return not FLAGS.isdisjoint(flags)
