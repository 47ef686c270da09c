"""One place sets the data: the root of every data set of a config."""
from collections.abc import Iterator

from mmengine.config import Config

_LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
_OURS = ('NYUDSegDataset', 'NYUDDepthDataset', 'CIFAR10', 'CIFAR100', 'ImageFolder')


def _leaves(node) -> Iterator[dict]:
    if isinstance(node, (list, tuple)):
        for item in node:
            yield from _leaves(item)
    elif isinstance(node, dict):
        inner = [node[key] for key in ('dataset', 'datasets') if key in node]
        if inner:
            yield from _leaves(inner)
        else:
            yield node


def dataset_cfgs(cfg: Config) -> Iterator[dict]:
    """The config of every data set that reads a folder: in all loaders, through wrappers and lists."""
    for node in _leaves([cfg.get(name) for name in _LOADERS]):
        if 'data_root' in node or str(node.get('type', '')).split('.')[-1] in _OURS:
            yield node


def set_data_root(cfg: Config, root: str) -> None:
    """Makes every data set of a config read from ``root``.

    Args:
        cfg: A config with ``train_dataloader``, ``val_dataloader`` or
            ``test_dataloader``; each may be a list. Changed in place.
        root: The data folder.

    Raises:
        ValueError: If no data set of the config has a ``data_root``.
    """
    found = list(dataset_cfgs(cfg))
    if not found:
        raise ValueError(f'{cfg.filename or "the config"}: no data set in {", ".join(_LOADERS)} '
                         f'has a data_root to set to {root}. Give it one')
    for node in found:
        node['data_root'] = str(root)
    if 'data_root' in cfg:
        cfg.data_root = str(root)
