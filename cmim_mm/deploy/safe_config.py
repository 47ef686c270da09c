"""A config that travels with a model: data, and never a way to run code.

MMEngine looks a ``type`` that no registry knows up as a path of Python, ``dict(type='os.system')`` too; so
every ``type`` must be a registered name. Of the config's keys those remain that evaluation reads.
"""
import math
from collections.abc import Iterator, Mapping
from typing import Any

from mmengine import registry as roots
from mmengine.registry import Registry

from cmim_mm import registry as own
from cmim_mm.safetensors_file import BadHeader, FileRefused

#: What is kept of a config.
KEYS = ('model', 'default_scope', 'test_dataloader', 'test_evaluator', 'test_cfg', 'test_pipeline',
        'tta_model', 'tta_pipeline', 'default_hooks', 'env_cfg', 'log_processor', 'log_level', 'randomness',
        'vis_backends', 'visualizer')
#: What a model, or its evaluation, is not built from.
_REFUSED = ('_base_', 'custom_imports', 'init_cfg', 'pretrained')
#: Endings of files that some parts of a config would unpickle or run.
_UNSAFE = ('.pkl', '.pickle', '.yml', '.yaml', '.py', '.pt', '.pth')
_TUPLE = '$tuple'


class BadConfig(FileRefused):
    """The config holds what is no data, or not a config's."""


class UnknownType(BadConfig):
    """The config names a type that no registry knows, which might be any Python object."""


def as_data(value: Any, where: str = 'config') -> Any:
    """What JSON can hold; a tuple becomes ``{"$tuple": [...]}``.

    Raises:
        BadConfig: It is something else than data; the message names where.
    """
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise BadConfig(f'{where}: the key {key!r} is no text')
        return {key: as_data(entry, f'{where}.{key}') for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        entries = [as_data(entry, f'{where}[{i}]') for i, entry in enumerate(value)]
        return {_TUPLE: entries} if isinstance(value, tuple) else entries
    if value is None or isinstance(value, (str, int)) or isinstance(value, float) and math.isfinite(value):
        return value
    raise BadConfig(f'{where}: {value!r} is no data (text, number, list or dict); write the type as text')


def from_data(value: Any) -> Any:
    """The inverse of :func:`as_data`."""
    if isinstance(value, list):
        return [from_data(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    if _TUPLE in value:
        if len(value) > 1 or not isinstance(value[_TUPLE], list):
            raise BadHeader(f'{_TUPLE} must stand alone, before a list')
        return tuple(from_data(entry) for entry in value[_TUPLE])
    return {key: from_data(entry) for key, entry in value.items()}


def check_config(data: dict[str, Any]) -> dict[str, Any]:
    """The config of a file, once it is known to be harmless.

    Args:
        data: As read from JSON.

    Raises:
        BadConfig: A key that no packed model has, an address, or a file that could hold code.
        UnknownType: A ``type`` that is no registered name.
    """
    config = from_data(data)
    for key in config:
        if key not in KEYS:
            raise BadConfig(f'config: the key {key!r} is not expected; valid are {", ".join(KEYS)}')
    if not isinstance(config.get('model'), dict):
        raise BadConfig('config: there is no model')
    known = None
    for where, node in _nodes(config, 'config'):
        if isinstance(node, str) and ('://' in node or node.lower().endswith(_UNSAFE)):
            raise BadConfig(f'{where}: {node!r} would be fetched or loaded, and is refused')
        if not isinstance(node, dict):
            continue
        for key in _REFUSED:
            if node.get(key) is not None:
                raise BadConfig(f'{where}: the key {key!r} would load code or files, and is refused')
        if 'type' in node:
            known = known or _registered()
            if not isinstance(node['type'], str) or node['type'] not in known:
                raise UnknownType(f"{where}: type={node['type']!r} is registered nowhere; it may come from a "
                                  'newer cmim_mm, or be no part of a model at all')
    return config


def _nodes(value: Any, where: str) -> Iterator[tuple[str, Any]]:
    yield where, value
    if isinstance(value, dict):
        for key, entry in value.items():
            yield from _nodes(entry, f'{where}.{key}')
    elif isinstance(value, (list, tuple)):
        for i, entry in enumerate(value):
            yield from _nodes(entry, f'{where}[{i}]')


def _registered() -> set[str]:
    """All names that configs may use, with and without their scope."""
    from mmseg.utils import register_all_modules
    register_all_modules(init_default_scope=False)
    found: set[str] = set()
    pending = [value for module in (roots, own) for value in vars(module).values()
               if isinstance(value, Registry)]
    while pending:
        registry = pending.pop()
        registry.import_from_location()
        for name in registry.module_dict:
            found |= {name, f'{registry.scope}.{name}'}
        pending.extend(registry.children.values())
    return found
