"""Public checkpoints of binary networks as checkpoints of this project, key by key."""
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Optional, Union

import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch import Tensor, nn

from cmim_mm.atomic import write_atomically
from cmim_mm.checkpoint import CheckpointError, load_checkpoint_file
from cmim_mm.publish import to_bytes
from cmim_mm.registry import MODELS
from cmim_mm.version import __version__

from ..pretrained import check_state, is_named, last_names
from .names import DATA, NETWORKS, Network

Shape = Sequence[int]

#: The classifier of this project's own checkpoints.
OWN_CLASSIFIER = 'decode_head.fc.weight'


class Imported(NamedTuple):
    """What came of a public checkpoint.

    Attributes:
        network: The network that it belongs to.
        config: Path of the config that takes the weights.
        state: The weights by the keys of that config's model.
        left_out: Its keys that change nothing and have no place here.
        record: Numbers stored beside the weights, e.g. ``best_prec1``, and what its code calls the network.
    """
    network: Network
    config: Path
    state: dict[str, Tensor]
    left_out: list[str]
    record: dict[str, Union[float, str]]


def import_checkpoint(path: Union[str, Path], method: str, network: str, configs: Union[str, Path],
                      leave_out: Sequence[str] = ()) -> Imported:
    """Reads a public checkpoint and gives its weights this project's names.

    Nothing in the file is executed. Every key of the checkpoint is used, or known to change nothing, or
    named in an error; so is every key that the network needs.

    Args:
        path: The file, in any form of ``cmim_mm.checkpoint_forms``; one of this project's own is taken as it
            is.
        method: A key of :data:`~cmim_mm.models.converters.names.NETWORKS`.
        network: One of its networks, e.g. 'resnet20'. The classifier's rows tell the data set.
        configs: Folder of the configs that take foreign checkpoints.
        leave_out: Names (between dots, e.g. 'total_ops') of keys that the file may have beyond.

    Raises:
        CheckpointError: The file holds code, cannot be read, or does not fit; the message names the keys.
        OSError: It cannot be opened.
        ValueError: The method or network is unknown; the message lists the known ones.
    """
    known = _networks_of(method, network)
    loaded = load_checkpoint_file(path, map_location='cpu')
    state = {key: value for key, value in _state_dict(loaded, str(path)).items()
             if not is_named(key, leave_out)}
    num_classes = _num_classes(state, str(path))
    data = DATA.get(num_classes)
    if (network, data) not in known:
        valid = ', '.join(f'{name} ({k} classes)' for k, name in DATA.items() if (network, name) in known)
        raise CheckpointError(f'{path}: its classifier has {num_classes} classes; {method} {network} is '
                              f'known for {valid}.')
    found = known[network, data]
    config = Path(configs) / f'{found.config}.py'
    with DefaultScope.overwrite_default_scope('mmseg'), torch.device('meta'):  # names and shapes alone
        model = MODELS.build(Config.fromfile(config).model)
    name = f'{path} as {method} {network} ({data})'
    if OWN_CLASSIFIER in state:
        converted, left_out = check_state(model, state, name), []
    else:
        converted, left_out = convert_state(state, model, found, name)
    return Imported(found, config, converted, left_out, _record(loaded))


def convert_state(state: Mapping[str, Tensor], model: nn.Module, network: Network,
                  name: str) -> tuple[dict[str, Tensor], list[str]]:
    """The weights of a public network by the keys of ``model``, and the public keys that were left out.

    The binarizers' progress becomes 1: the training is over. ``num_batches_tracked`` may be missing.

    Args:
        state: Public keys (without ``module.``) and tensors.
        model: The classifier that takes them.
        network: Its names.
        name: How to call the checkpoint in errors.

    Raises:
        CheckpointError: Keys are missing, left over, or of another shape; names them all.
    """
    converted, used = {}, set()
    missing, misshapen = [], []
    for key, own in model.state_dict().items():
        if key.endswith('binarizer.progress'):
            converted[key] = torch.ones(own.shape)
            continue
        public = network.public_keys(key)
        used.update(public)
        absent = [k for k in public if k not in state]
        if absent:
            missing += [k for k in absent if not k.endswith('num_batches_tracked')]
            continue
        value = _fit([state[k] for k in public], own.shape)
        if value is None:
            shapes = ' and '.join(f'{k} {tuple(state[k].shape)}' for k in public)
            misshapen.append(f'{shapes}, expected {tuple(own.shape)}')
        else:
            converted[key] = value.to(own.dtype)
    unknown = [k for k in state if k not in used]
    left_over = [k for k in unknown if not network.is_left_out(k)]
    problems = [f'{len(keys)} {what}: {", ".join(keys)}' for what, keys in (
        ('missing', missing), ('left over', left_over), ('of another shape', misshapen)) if keys]
    if problems:
        hint = (f' Keys that another tool left there go by --leave-out {" ".join(last_names(left_over))}.'
                if left_over else '')
        raise CheckpointError(f'{name}: the keys do not fit. {"; ".join(problems)}. Method and network '
                              f'must be those of the code that saved it.{hint}')
    return converted, [k for k in unknown if k not in left_over]


def save_imported(imported: Imported, path: Union[str, Path], source: str) -> None:
    """Writes a checkpoint in MMEngine's layout, whole or not at all; ``meta`` tells the source.

    Args:
        imported: The weights.
        path: The file.
        source: What they were read from.
    """
    meta = dict(source=source, foreign=imported.record, left_out=imported.left_out,
                network=imported.network.config, cmim_mm_version=__version__,
                time=time.strftime('%Y%m%d_%H%M%S'))
    write_atomically(to_bytes(dict(meta=meta, state_dict=imported.state)), path)


def _networks_of(method: str, network: str) -> dict[tuple[str, str], Network]:
    known = NETWORKS.get(method)
    if known is None:
        raise ValueError(f'method={method!r} is unknown; valid are {", ".join(NETWORKS)}')
    names = list(dict.fromkeys(name for name, _ in known))
    if network not in names:
        raise ValueError(f'network={network!r} is unknown for {method}; valid are {", ".join(names)}')
    return known


def _state_dict(loaded: Any, name: str) -> dict[str, Tensor]:
    state = loaded.get('state_dict', loaded) if isinstance(loaded, dict) else None
    if not isinstance(state, dict) or not state:
        raise CheckpointError(f'{name}: holds no state_dict, expected a dict of weights by name. Give the '
                              "file that the public code's training saved.")
    other = [str(key) for key, value in state.items() if not isinstance(value, Tensor)]
    if other:
        raise CheckpointError(f'{name}: {", ".join(other)} are no tensors, expected a dict with a '
                              'state_dict, or a state_dict alone.')
    return dict(state)


def _num_classes(state: Mapping[str, Tensor], name: str) -> int:
    for key in ('linear.weight', 'fc.weight', OWN_CLASSIFIER):
        if key in state:
            return len(state[key])
    raise CheckpointError(f'{name}: has neither linear.weight nor fc.weight, so it is no whole classifier. '
                          f'Its keys begin with {", ".join(sorted({key.split(".")[0] for key in state}))}.')


def _fit(values: Sequence[Tensor], shape: Shape) -> Optional[Tensor]:
    """The values, one after another along the first axis, in ``shape``; None where they do not fit.

    Public code keeps some with other axes of length 1 (slopes of a channel), or flat as (n, 1).
    """
    value = values[0]
    if len(values) > 1 and value.dim():
        if any(other.shape != value.shape for other in values):
            return None
        value = torch.cat(list(values))
    flat = (math.prod(shape), 1)
    fits = [n for n in value.shape if n != 1] == [n for n in shape if n != 1] or value.shape == flat
    return value.reshape(shape).contiguous() if fits else None


def _record(loaded: Any) -> dict[str, Union[float, str]]:
    """Single numbers and the network's name beside the state dict."""
    if 'state_dict' not in loaded:
        return {}
    found = {}
    for key, value in loaded.items():
        if isinstance(value, Tensor) and value.numel() == 1:
            value = value.item()
        if isinstance(value, (int, float)):
            found[str(key)] = float(value)
        elif key in ('arch', 'model') and isinstance(value, str):
            found[key] = value
    return found
