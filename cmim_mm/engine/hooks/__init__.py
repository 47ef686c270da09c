from .atomic_checkpoint import AtomicCheckpointHook
from .binarization_progress import BinarizationProgressHook
from .check_dataset import CheckDatasetHook
from .console_progress import ConsoleProgressHook
from .finite_loss import FiniteLossHook, NonFiniteError
from .memory_bank import MemoryBankHook
from .memory_format import MemoryFormatHook
from .paint import PaintHook
from .probe import ProbeHook
from .reduce_loss import ReduceLossHook
from .resume import ResumeHook
from .seed import SeedHook

__all__ = [
    'AtomicCheckpointHook', 'BinarizationProgressHook', 'CheckDatasetHook', 'ConsoleProgressHook',
    'FiniteLossHook', 'MemoryBankHook', 'MemoryFormatHook', 'NonFiniteError', 'PaintHook', 'ProbeHook',
    'ReduceLossHook', 'ResumeHook',
    'SeedHook',
]
