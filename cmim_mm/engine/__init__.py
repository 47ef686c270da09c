from .distributed import setup_launcher
from .hooks import (
    AtomicCheckpointHook,
    BinarizationProgressHook,
    CheckDatasetHook,
    FiniteLossHook,
    MemoryBankHook,
    MemoryFormatHook,
    NonFiniteError,
    PaintHook,
    ProbeHook,
    ReduceLossHook,
    ResumeHook,
    SeedHook,
)
from .loop import ResumableIterLoop
from .optim_wrapper import CPUAmpOptimWrapper

__all__ = [
    'AtomicCheckpointHook', 'BinarizationProgressHook', 'CPUAmpOptimWrapper', 'CheckDatasetHook',
    'FiniteLossHook', 'MemoryBankHook', 'MemoryFormatHook', 'NonFiniteError', 'PaintHook', 'ProbeHook',
    'ReduceLossHook', 'ResumableIterLoop', 'ResumeHook', 'SeedHook', 'setup_launcher',
]
