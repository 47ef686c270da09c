from .distributed import setup_launcher
from .hooks import AtomicCheckpointHook, BinarizationProgressHook, CheckDatasetHook, ReduceLossHook, SeedHook
from .loop import ResumableIterLoop
from .optim_wrapper import CPUAmpOptimWrapper

__all__ = [
    'AtomicCheckpointHook', 'BinarizationProgressHook', 'CPUAmpOptimWrapper', 'CheckDatasetHook',
    'ReduceLossHook', 'ResumableIterLoop', 'SeedHook', 'setup_launcher',
]
