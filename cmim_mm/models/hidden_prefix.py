"""A wrapped part keeps the keys that it has in checkpoints without what wraps it."""
from collections.abc import Sequence

from torch import nn


def hide_prefix(owner: nn.Module, prefix: str, keep: Sequence[str]) -> None:
    """Saves and loads ``owner``'s keys that begin with ``prefix`` without it.

    So a checkpoint fits with and without the wrapper.

    Args:
        owner: The wrapper.
        prefix: Of the wrapped part, e.g. 'inner.'.
        keep: What the owner's other keys begin with; they stay as they are.
    """

    def save(module: nn.Module, state: dict, place: str, metadata: dict) -> None:
        for key in [key for key in state if key.startswith(place + prefix)]:
            state[place + key[len(place + prefix):]] = state.pop(key)

    def load(module: nn.Module, state: dict, place: str, *args) -> None:
        for key in [key for key in state if key.startswith(place)]:
            if not key[len(place):].startswith((prefix, *keep)):
                state[place + prefix + key[len(place):]] = state.pop(key)

    owner._register_state_dict_hook(save)
    owner._register_load_state_dict_pre_hook(load, with_module=True)
