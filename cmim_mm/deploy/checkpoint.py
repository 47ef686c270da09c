"""A packed model in a checkpoint's place: for ``init_model``, ``load_from`` and inferencers."""
import functools
from collections import OrderedDict
from typing import Any, Callable

from torch import nn

from .format import Packed

_KEY = 'packed'


class PackedState(OrderedDict):
    """The tensors of a packed model, with the model they are from."""

    def __init__(self, packed: Packed) -> None:
        super().__init__(packed.tensors)
        self._metadata = OrderedDict({_KEY: packed})


def as_checkpoint(packed: Packed) -> dict[str, Any]:
    """A packed model in the form of MMEngine's checkpoints: ``state_dict`` and ``meta``."""
    return {'state_dict': PackedState(packed), 'meta': packed.meta}


def fill_if_packed(load_state_dict: Callable) -> Callable:
    """MMEngine's ``load_state_dict``, by which a packed state converts the module, and then enters it."""

    @functools.wraps(load_state_dict)
    def changed(module: nn.Module, state_dict: Any, *args, **kwargs) -> None:
        packed = getattr(state_dict, '_metadata', {}).get(_KEY)
        if packed is None:
            return load_state_dict(module, state_dict, *args, **kwargs)
        from cmim_mm.models.backbones.base import Backbone  # with all that models use

        from .loading import fill
        if isinstance(module, Backbone):
            raise ValueError('a packed backbone is another module: cmim_mm.deploy.load gives it')
        fill(module, packed, 'the packed model')
        return None

    return changed
