from .atomic_checkpoint import AtomicCheckpointHook
from .binarization_progress import BinarizationProgressHook
from .check_dataset import CheckDatasetHook
from .reduce_loss import ReduceLossHook
from .seed import SeedHook

__all__ = [
    'AtomicCheckpointHook', 'BinarizationProgressHook', 'CheckDatasetHook', 'ReduceLossHook', 'SeedHook',
]
