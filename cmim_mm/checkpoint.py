"""Checkpoints are data, not code.

A pickle can call any function while it is read, and MMEngine also runs a
Python config that it finds inside a checkpoint. ``install`` closes both doors
for everything that loads through MMEngine (``load_from``, ``resume``,
``init_cfg`` of type ``Pretrained``, ``init_model``, inferencers):

1. each scheme of ``CheckpointLoader`` (local, http, s3, ...) reads through
   ``load_checkpoint_file``: ``torch.load(weights_only=True)`` always, whatever
   the environment says, with a short allow-list for what MMEngine saves;
2. config texts are dropped from what was read, and an inferencer that would
   take its config from a checkpoint is refused.

Each of these doors takes the same forms (``checkpoint_forms``, safetensors), as
all of them read through this one loader.
"""
import functools
import io
import os
import pickle
import re
import tempfile
from pathlib import Path
from typing import Any, Callable, Union
from urllib.parse import urlparse

import numpy as np
import torch
from mmengine.dist import barrier, get_dist_info
from mmengine.fileio import get_file_backend
from mmengine.infer import BaseInferencer
from mmengine.logging import HistoryBuffer
from mmengine.runner import checkpoint as mmengine_checkpoint
from mmengine.runner.checkpoint import (
    CheckpointLoader,
    _get_mmengine_home,
    _process_mmcls_checkpoint,
    get_deprecated_model_names,
    get_external_models,
    get_mmcls_models,
    get_torchvision_models,
)

from .bit_weights import expand_bit_weights
from .checkpoint_forms import with_state_dict
from .deploy.checkpoint import as_checkpoint, fill_if_packed
from .deploy.format import is_packed, read
from .safetensors_file import is_safetensors, read_safetensors

#: What the weights-only unpickler says when it meets code rather than data.
_FOUND_CODE = re.compile(
    r'GLOBAL (\S+)|unrecognized function ([^\n]+)|allowlisted via `add_safe_globals`,? but got ([^\n]+)')
_DTYPES = {c: np.dtype(c) for c in ('b1', 'i1', 'i2', 'i4', 'i8', 'u1', 'u2', 'u4', 'u8', 'f2', 'f4', 'f8')}
_STATISTICS = ('min', 'max', 'current', 'mean')


class CheckpointError(RuntimeError):
    """A checkpoint was refused or cannot be read; the message names the file and what to do."""


def load_checkpoint_file(file: Union[str, Path, io.BytesIO], map_location: Any = None, name: str = '') -> Any:
    """Reads a checkpoint, PyTorch's or a safetensors file, without executing anything that it holds.

    Args:
        file: Path, or buffer of the file's bytes.
        map_location: As for ``torch.load``; a safetensors file stays on the CPU unless it is a device.
        name: How to call the file in errors. Defaults to the path.

    Returns:
        A dict with ``state_dict`` and ``meta``, whatever form the file has (``checkpoint_forms``); a dict
        without weights, or a lone tensor, as it is; of a packed model what
        ``deploy.checkpoint.as_checkpoint`` says. The config texts ``meta['config']``, ``meta['cfg']``
        and ``message_hub['runtime_info']['cfg']`` are left out.

    Raises:
        CheckpointError: It holds code, is cut short, or is no checkpoint.
        FileRefused: It is a packed model, and damaged or of a newer version.
        OSError: It cannot be opened.
    """
    name = name or str(file)
    if is_packed(file):
        return as_checkpoint(read(file, name))
    try:
        if is_safetensors(file):
            checkpoint = expand_bit_weights(*read_safetensors(file))
            if isinstance(map_location, (str, torch.device)):
                state = checkpoint['state_dict']
                checkpoint['state_dict'] = {key: tensor.to(map_location) for key, tensor in state.items()}
        else:
            checkpoint = torch.load(file, map_location=map_location, weights_only=True)
    except OSError:
        raise
    except Exception as error:  # a damaged file can raise nearly anything
        raise CheckpointError(_explain(name, error)) from error
    if not isinstance(checkpoint, (dict, torch.Tensor)):
        raise CheckpointError(
            f'{name}: holds a {type(checkpoint).__name__}, expected a dict with the weights (a state_dict). '
            'Give the file that training saved, e.g. iter_20000.pth.')
    return with_state_dict(_drop_config_texts(checkpoint))


def _explain(name: str, error: Exception) -> str:
    found = _FOUND_CODE.search(str(error)) if isinstance(error, pickle.UnpicklingError) else None
    if found:
        what = next(filter(None, found.groups()))
        return (f"{name}: refused, it holds '{what}', which is code rather than data: reading it could run "
                'a program. Nothing of it was run. Get the checkpoint from a source that you trust; if this '
                "one is yours, save it again with tensors and plain values only: torch.save({'state_dict': "
                'model.state_dict()}, FILE).')
    reason = str(error).split('WeightsUnpickler error:')[-1].strip().split('\n')[0].split('. ')[0]
    return (f'{name}: cannot be read as a checkpoint ({type(error).__name__}: {reason}). '
            'It may be cut short or no PyTorch checkpoint at all. Give another one, or delete it and '
            'download or save it again.')


def _drop_config_texts(checkpoint: Any) -> Any:
    """MMEngine executes these texts as Python (``Runner.resume``, inferencers)."""
    if isinstance(checkpoint, dict):
        hub = checkpoint.get('message_hub')
        runtime_info = hub.get('runtime_info') if isinstance(hub, dict) else None
        for holder in (checkpoint.get('meta'), runtime_info):
            if isinstance(holder, dict):
                holder.pop('config', None)
                holder.pop('cfg', None)
    return checkpoint


# Loaders, one a scheme; CheckpointLoader prints what follows 'load_from_'. ---------------------------

def load_from_local(filename: str, map_location: Any = None) -> Any:
    """A path on this machine."""
    path = os.path.expanduser(filename)
    if not os.path.isfile(path):
        raise FileNotFoundError(f'{filename}: there is no such checkpoint file. Check load_from, --resume, '
                                'init_cfg or the checkpoint argument.')
    return load_checkpoint_file(path, map_location)


def load_from_http(filename: str, map_location: Any = None) -> Any:
    """Downloads to torch.hub's folder (``$TORCH_HOME/hub/checkpoints``) unless it is there already."""
    path = os.path.join(torch.hub.get_dir(), 'checkpoints', os.path.basename(urlparse(filename).path))
    rank, _ = get_dist_info()
    if rank == 0:
        _download(filename, path)
    barrier()
    _download(filename, path)  # on a machine that does not share rank 0's disk
    return load_checkpoint_file(path, map_location, name=f'{filename} (downloaded to {path})')


def _download(url: str, path: str) -> None:
    if os.path.exists(path):
        return
    os.makedirs(os.path.dirname(path), exist_ok=True)
    try:
        torch.hub.download_url_to_file(url, path, progress=os.isatty(0))
    except OSError as error:
        raise CheckpointError(f'{url}: cannot be downloaded ({error}). Check the address and the network, or '
                              'download it by other means and give its path.') from error


def load_from_pavi(filename: str, map_location: Any = None) -> Any:
    """``pavi://``, a model store; needs the package ``pavi``."""
    from pavi import modelcloud
    model = modelcloud.get(filename[len('pavi://'):])
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, os.path.basename(model.name))
        model.download(path)
        return load_checkpoint_file(path, map_location, name=filename)


def load_from_ceph(filename: str, map_location: Any = None) -> Any:
    """``s3://`` and ``petrel://``, with or without a cluster's name in front."""
    backend = get_file_backend(filename, backend_args={'backend': 'petrel'})
    return load_checkpoint_file(io.BytesIO(backend.get(filename)), map_location, name=filename)


def load_from_torchvision(filename: str, map_location: Any = None) -> Any:
    """``torchvision://resnet18`` and the like, by torchvision's table of addresses."""
    return load_from_http(_look_up(get_torchvision_models(), filename), map_location)


def load_from_openmmlab(filename: str, map_location: Any = None) -> Any:
    """``open-mmlab://NAME``: an address, or a path below MMEngine's home."""
    deprecated = get_deprecated_model_names()
    name = filename.split('://', 1)[1]
    address = _look_up(get_external_models(), 'open-mmlab://' + deprecated.get(name, name))
    if address.startswith(('http://', 'https://')):
        return load_from_http(address, map_location)
    return load_from_local(os.path.join(_get_mmengine_home(), address), map_location)


def load_from_mmcls(filename: str, map_location: Any = None) -> Any:
    """``mmcls://NAME``: the backbone of a classifier."""
    loaded = load_from_http(_look_up(get_mmcls_models(), filename), map_location)
    return with_state_dict(_process_mmcls_checkpoint(loaded))


def _look_up(addresses: dict, filename: str) -> str:
    name = filename.split('://', 1)[1]
    if name not in addresses:
        raise CheckpointError(f"{filename}: no model is called '{name}' there. Known names: "
                              f'{", ".join(sorted(addresses))}.')
    return addresses[name]


# Installation. ---------------------------------------------------------------------------------------

def install() -> None:
    """Routes every checkpoint scheme through the safe reader; called once by ``import cmim_mm``."""
    torch.serialization.add_safe_globals(_allow_list())
    for prefixes, loader in (
            ('', load_from_local),
            (('http://', 'https://'), load_from_http),
            ('pavi://', load_from_pavi),
            ((r'(\S+\:)?s3://', r'(\S+\:)?petrel://'), load_from_ceph),
            (('modelzoo://', 'torchvision://'), load_from_torchvision),
            (('open-mmlab://', 'openmmlab://'), load_from_openmmlab),
            ('mmcls://', load_from_mmcls)):
        CheckpointLoader.register_scheme(prefixes, loader, force=True)
    mmengine_checkpoint.load_state_dict = fill_if_packed(mmengine_checkpoint.load_state_dict)
    BaseInferencer._init_model = _require_config(BaseInferencer._init_model)


def _allow_list() -> list:
    """What MMEngine's checkpoints hold beside tensors: histories of scalars, in numpy arrays."""
    reconstruct, scalar = np.empty(0).__reduce__()[0], np.float32(0).__reduce__()[0]
    numpy_functions = [(function, f'numpy.{core}.multiarray.{name}')  # numpy 1 and 2 differ in the module
                       for core in ('core', '_core')
                       for function, name in ((reconstruct, '_reconstruct'), (scalar, 'scalar'))]
    return [HistoryBuffer, np.ndarray,
            (_plain_dtype, 'numpy.dtype'), (_history_statistic, 'builtins.getattr'),
            *{type(dtype) for dtype in _DTYPES.values()}, *numpy_functions]


def _plain_dtype(code: str, align: bool = False, copy: bool = False) -> np.dtype:
    """``np.dtype`` for numbers only, and never a copy: a pickle could corrupt the flags of a copy."""
    if code not in _DTYPES:
        raise pickle.UnpicklingError(f'GLOBAL numpy.dtype({code!r})')
    return _DTYPES[code]


def _history_statistic(owner: type, name: str) -> Callable:
    """``getattr`` as HistoryBuffer's pickles need it, and nothing else."""
    if owner is not HistoryBuffer or name not in _STATISTICS:
        raise pickle.UnpicklingError(f'GLOBAL getattr({owner!r},{name!r})'.replace(' ', ''))
    return getattr(HistoryBuffer, name)


def _require_config(init_model: Callable) -> Callable:
    @functools.wraps(init_model)
    def checked(self, cfg, weights, device='cpu'):
        if not cfg:
            raise CheckpointError(
                f'{weights}: no config was given. The one in a checkpoint is a Python program, which is '
                'never run. Name the config as well: MMSegInferencer(model=CONFIG.py, weights=CHECKPOINT).')
        return init_model(self, cfg, weights, device)

    return checked
