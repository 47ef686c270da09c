"""The forms that a checkpoint may have, made one: a dict with ``state_dict`` and ``meta``."""
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from torch import Tensor

#: Under which names training codes keep the weights, the first one found counts.
_HOLDERS = ('state_dict', 'model_state_dict', 'model', 'net')
#: What wrapped models put in front of every key: DataParallel, its distributed form.
_WRAPPER = 'module.'
#: What torch.compile puts in front of the keys of the module that it was given.
_COMPILED = '_orig_mod.'


def with_state_dict(checkpoint: Any) -> Any:
    """A checkpoint of any known form, in the form of MMEngine's.

    Known are, beside that: a state dict alone, one under another name ('model', 'net',
    'model_state_dict'), and keys with what DataParallel or torch.compile put in front. Anything else stays
    as it is: who needs its weights says what is missing.
    """
    if not isinstance(checkpoint, dict):
        return checkpoint
    if _is_state_dict(checkpoint):
        checkpoint = {'state_dict': checkpoint}
    holder = next((name for name in _HOLDERS if _is_state_dict(checkpoint.get(name))), None)
    if holder is None:
        return checkpoint
    return {'meta': {}, **checkpoint, 'state_dict': _unwrapped(checkpoint[holder])}


def _is_state_dict(value: Any) -> bool:
    return isinstance(value, Mapping) and bool(value) and all(
        isinstance(entry, Tensor) or str(key).endswith('_extra_state') for key, entry in value.items())


def _unwrapped(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    if any(_COMPILED in key for key in state):
        state = _renamed(state, lambda key: key.replace(_COMPILED, ''))
    while all(key.startswith(_WRAPPER) for key in state):
        state = _renamed(state, lambda key: key[len(_WRAPPER):])
    return state


def _renamed(state: Mapping[str, Tensor], rename) -> 'OrderedDict[str, Tensor]':
    renamed = OrderedDict((rename(key), value) for key, value in state.items())
    versions = getattr(state, '_metadata', {})  # of each module's state, by the name of the module
    renamed._metadata = OrderedDict((rename(f'{key}.').rstrip('.'), value) for key, value in versions.items())
    return renamed
