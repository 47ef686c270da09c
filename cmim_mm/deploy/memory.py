"""Large maps in memory that the process already has."""
import ctypes

#: glibc's mallopt: no allocation by mmap; free memory at the heap's end goes back to the system above 2 GB.
_OPTIONS = {-4: 0, -1: 2_000_000_000}


def keep_memory() -> bool:
    """Lets this process keep the memory of large tensors for the next ones.

    glibc maps each block above 32 MB anew, and gives what is free at the heap's end back at once; the system
    fills new pages with zeros, one by one. For the logits of 40 classes at 480x640 that lasts as long as the
    network before them, in a training step of ours it is a twentieth. It costs nothing but that memory once
    used is not given back; it holds for the whole process, so libraries do not call it, programs do.

    Returns:
        Whether the C library took it; others than glibc have no such switch.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return all(mallopt(option, value) == 1 for option, value in _OPTIONS.items())
