"""What a run is made of, as plain data that a checkpoint can keep, and how two runs differ."""
import os
from collections.abc import Iterator, Mapping
from typing import Any, Optional

import torch
from mmengine.runner import Runner
from torch.utils.data import Dataset

from .schedule import describe, optim_wrappers, schedulers_of

#: Keys whose value may change without changing the training: where things lie, how fast they are read.
FREE = frozenset({
    'data_root', 'init_cfg', 'pretrained', 'test_cfg', 'backend_args', 'file_client_args', 'lazy_init',
    'serialize_data', 'download', 'max_refetch'})
#: Keys with a path, of which the last part counts: folders move.
PATHS = frozenset({'checkpoint', 'ann_file'})

Plain = dict[str, Any]


def fixed_parts(runner: Runner) -> Plain:
    """What a resumed run must have as it was: the model, the data, their order, the loop, the optimizer.

    Args:
        runner: Before its training, its loop and optimizer built.

    Returns:
        Key of the config (or words) -> plain value.
    """
    loader, cfg = runner.train_dataloader, runner.cfg
    sampler = getattr(loader, 'batch_sampler', None)
    parts = {
        'train_cfg.type': type(runner.train_loop).__name__,
        'images of the training set': len(loader.dataset),
        'bytes of its first, middle and last image': _bytes(loader.dataset),
        'train_dataloader.batch_size (all processes together)':
            getattr(sampler, 'batch_size', 1) * runner.world_size,
        **_flat(cfg.get('model'), 'model'),
        **_flat(cfg.get('train_dataloader', {}).get('dataset'), 'train_dataloader.dataset'),
        **_flat(cfg.get('train_dataloader', {}).get('sampler'), 'train_dataloader.sampler'),
    }
    for prefix, wrapper in optim_wrappers(runner).items():
        parts[f'optim_wrapper.{prefix}optimizer.type'] = type(wrapper.optimizer).__name__
        sizes = [len(group['params']) for group in wrapper.optimizer.param_groups]
        parts[f'groups and tensors of optim_wrapper.{prefix}optimizer'] = [len(sizes), sum(sizes)]
    return parts


def carried_parts(runner: Runner) -> Plain:
    """What a resumed run takes from its own config: schedule, learning rate, the optimizer's settings.

    Args:
        runner: With a new optimizer and new schedulers.

    Returns:
        Key of the config (or words) -> plain value.
    """
    parts = {}
    for prefix, wrapper in optim_wrappers(runner).items():
        for number, scheduler in enumerate(schedulers_of(runner, prefix)):
            parts.update(_flat(describe(scheduler), f'param_scheduler.{prefix}{number}'))
        settings = [_settings(group) for group in wrapper.param_groups]
        for key in sorted({key for group in settings for key in group}):
            parts[f'optim_wrapper.{prefix}optimizer.{key}'] = _short([g.get(key) for g in settings])
    return parts


def _bytes(dataset: Dataset) -> Optional[list[int]]:
    """Tells data of as many images apart wherever they lie; None where they are no files."""
    if not hasattr(dataset, 'get_data_info'):
        return None
    try:
        paths = [dataset.get_data_info(i)['img_path'] for i in (0, len(dataset) // 2, len(dataset) - 1)]
        return [os.path.getsize(path) for path in paths]
    except (AttributeError, KeyError, OSError):
        return None


def _settings(group: dict) -> Plain:
    """Of an optimizer's group, as they are before any scheduler acts."""
    settings = {key: value for key, value in group.items() if key not in ('params', 'param_names')}
    initial = [key for key in settings if key.startswith('initial_')]
    settings.update({key[len('initial_'):]: settings.pop(key) for key in initial})
    return settings


def differences(before: Plain, now: Plain) -> list[str]:
    """Each key that differs, with both values, in words."""
    return [f'{key} is {_words(now.get(key, _ABSENT))} and was {_words(before.get(key, _ABSENT))}'
            for key in dict.fromkeys([*before, *now]) if before.get(key, _ABSENT) != now.get(key, _ABSENT)]


_ABSENT = object()


def _words(value: Any, most: int = 80) -> str:
    text = 'not set' if value is _ABSENT else repr(value)
    return text if len(text) <= most else f'{text[:most]}...'


def _short(values: list) -> Any:
    """One value where all groups have it, else the list as text."""
    values = [_plain(value) for value in values]
    return values[0] if values and all(value == values[0] for value in values) else str(values)


def _flat(value: Any, key: str) -> Plain:
    """Nested dicts and lists as one dict with dotted keys."""
    return dict(_items(value, key))


def _items(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    name = key.rpartition('.')[2]
    if name in FREE:
        return
    if isinstance(value, Mapping):
        for inner, one in value.items():
            yield from _items(one, f'{key}.{inner}')
    elif isinstance(value, (list, tuple)) and any(isinstance(v, (Mapping, list, tuple)) for v in value):
        for number, one in enumerate(value):
            yield from _items(one, f'{key}.{number}')
    elif name in PATHS and isinstance(value, str):
        yield key, value.replace('\\', '/').rpartition('/')[2]
    elif value is not None:
        yield key, _plain(value)


def _plain(value: Any) -> Any:
    """Numbers, texts and lists of them, as JSON has them; anything else by its name or its text."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, torch.Tensor):
        return value.tolist()
    return getattr(value, '__qualname__', type(value).__qualname__ if callable(value) else str(value))
