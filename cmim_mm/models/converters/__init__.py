"""Public checkpoints of binary networks, converted."""
from .convert import Imported, convert_state, import_checkpoint, save_imported
from .names import DATA, NETWORKS, Network

__all__ = ['DATA', 'NETWORKS', 'Imported', 'Network', 'convert_state', 'import_checkpoint', 'save_imported']
