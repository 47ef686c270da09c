"""Packed models from their files."""
import copy
from pathlib import Path
from typing import Any, Union

import torch
from mmengine.config import Config
from torch import Tensor, nn

from cmim_mm.checkpoint import CheckpointError
from cmim_mm.models.necks import ContrastiveMINeck
from cmim_mm.models.pretrained import lacking

from .bfloat16 import to_bfloat16, to_int8
from .convert import convert, prepare
from .format import Packed, read
from .labels import labels_alone
from .packing import build, packed_state

_DTYPES = {torch.float32: lambda model: model, torch.bfloat16: to_bfloat16, torch.int8: to_int8}
#: Buffers of norms and shifts that a convolution takes in, and does not multiply into others.
_APART = {'affine', 'gain', 'shift_in', 'shortcut_affine'}


def load(path: Union[str, Path], device: Union[str, torch.device] = 'cpu',
         dtype: torch.dtype = torch.float32, logits: bool = True) -> nn.Module:
    """The model of a packed file, ready to predict; it is called as the trained one.

    ``cfg`` and ``dataset_meta`` are set as by mmseg's ``init_model``, so ``inference_model`` takes it.

    Args:
        path: MODEL.cmim.
        device: Where it goes.
        dtype: In what is computed that is not 1-bit: float32; for speed bfloat16, or int8: bfloat16 with the
            stem in int8 (``bfloat16.py``).
        logits: Whether a segmentor's predictions have ``seg_logits``; without them it is faster
            (:func:`~cmim_mm.deploy.labels.labels_alone` says what then differs).

    Raises:
        ValueError: Another dtype, or no logits of a model that is no segmentor.
        FileRefused: The file is no packed model, damaged, or of a newer version; each case has a class of
            its own (``cmim_mm.deploy.format``).
        CheckpointError: Its tensors do not fit its config.
        OSError: It cannot be opened.
    """
    if dtype not in _DTYPES:
        raise ValueError(f'dtype={dtype}: expected torch.float32 or torch.bfloat16, or torch.int8')
    packed = read(path)
    model = fill(build(packed.config), packed, str(path))
    model.cfg = Config(packed.config)
    model.dataset_meta = packed.meta.get('dataset_meta')
    if not logits:
        labels_alone(model)
    return _DTYPES[dtype](model).to(device)


def fill(model: nn.Module, packed: Packed, name: str) -> nn.Module:
    """Converts a model in place and gives it the state of a packed file.

    Args:
        model: What the file's config builds, or a config like it; heads and necks that only train may stand
            beside. Wrappers are looked through.
        packed: The file's content.
        name: Of the file, for errors.

    Returns:
        The converted model; a new one where it is a backbone itself.

    Raises:
        CheckpointError: The state does not fit.
    """
    while isinstance(getattr(model, 'module', None), nn.Module):
        model = model.module
    place = next((tensor.device for tensor in model.state_dict().values()), torch.device('cpu'))
    model = convert(model.to('cpu'), folded=_is_folded(model, packed))
    tensors, problems = _fitted(model, packed)
    if problems:
        raise CheckpointError(f'{name} does not fit the {type(model).__name__} of the config: '
                              f'{"; ".join(problems)}. Leave the config out: the file brings its own')
    model.load_state_dict(tensors, strict=False)
    return prepare(model).to(place)


def _is_folded(model: nn.Module, packed: Packed) -> bool:
    """Whether the file has the form of the first ones, which hold no number of a norm by itself."""
    joined = packed.tensors.keys() - model.state_dict().keys()  # an RPReLU by itself has a shift_in too
    if _APART & {key.rpartition('.')[2] for key in joined}:
        return False
    return bool(_fitted(convert(copy.deepcopy(model)), packed)[1])


def _fitted(model: nn.Module, packed: Packed) -> tuple[dict[str, Tensor], list[str]]:
    """The file's tensors for a converted model, and why they do not fit."""
    idle = ('auxiliary_head.', *(('neck.', ) if _idle_neck(model) else ()))
    wanted = {key: value for key, value in packed_state(model).items() if not key.startswith(idle)}
    tensors = {key: _as(value, wanted.get(key)) for key, value in packed.tensors.items()}
    problems = lacking(wanted, tensors)
    left = sorted(tensors.keys() - wanted.keys())
    if left:
        problems.append(f'{len(left)} left over: {", ".join(left[:6])}')
    return tensors, problems


def _idle_neck(model: nn.Module) -> bool:
    neck: Any = getattr(model, 'neck', None)
    return isinstance(neck, ContrastiveMINeck) and neck.inner is None


def _as(value: Tensor, like: Any) -> Tensor:
    return value.to(like.dtype) if like is not None and value.dtype == torch.float16 else value
