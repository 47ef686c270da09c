from .bank import Bank
from .base import Memory, Rows
from .in_batch import InBatch
from .queue import Queue

__all__ = ['Bank', 'InBatch', 'Memory', 'Queue', 'Rows']
