"""Pretrained encoders load whole or not at all, and so do models that are only evaluated."""
from collections.abc import Iterable, Mapping, Sequence
from typing import Optional

from mmengine.model import BaseModule, PretrainedInit
from mmengine.runner.checkpoint import CheckpointLoader
from torch import Tensor, nn

from cmim_mm.checkpoint import CheckpointError
from cmim_mm.deploy.checkpoint import PackedState


class PretrainedEncoder(BaseModule):
    """A backbone, or a whole classifier, whose ``init_cfg`` of type 'Pretrained' must fit to the last key.

    MMEngine logs what is missing or left over and trains on from random weights. Here it is an error.
    Keys that other tools left in the file are let go by ``init_cfg=dict(..., leave_out=('total_ops', ))``.
    """

    def init_weights(self) -> None:
        """As in ``BaseModule``.

        Raises:
            CheckpointError: The checkpoint does not fit; names the keys.
        """
        cfgs = [self.init_cfg] if isinstance(self.init_cfg, Mapping) else self.init_cfg or []
        for cfg in cfgs:
            if cfg['type'] in ('Pretrained', PretrainedInit):
                check_pretrained(self, cfg['checkpoint'], cfg.get('prefix'), cfg.pop('leave_out', ()))
        super().init_weights()


def check_pretrained(module: nn.Module, checkpoint: str, prefix: Optional[str] = None,
                     leave_out: Sequence[str] = ()) -> None:
    """Makes sure that a checkpoint has every weight of a module, each of its shape, and no other.

    Not counted are ``num_batches_tracked``, which old checkpoints lack, and, without a prefix, the
    classifier ``fc.*`` of a published ResNet.

    Args:
        module: The module, e.g. a backbone.
        checkpoint: Path or address.
        prefix: Of the module's keys in the checkpoint, e.g. 'backbone.'.
        leave_out: Names (between dots, e.g. 'total_ops') of keys that the checkpoint may have beyond.

    Raises:
        CheckpointError: It does not fit; names the keys.
    """
    loaded = CheckpointLoader.load_checkpoint(checkpoint, map_location='cpu')
    check_state(module, loaded.get('state_dict', loaded), checkpoint, prefix, leave_out)


def check_state(module: nn.Module, state: Mapping[str, Tensor], checkpoint: str,
                prefix: Optional[str] = None, leave_out: Optional[Sequence[str]] = None) -> dict[str, Tensor]:
    """As :func:`check_pretrained`, for the weights that were read from ``checkpoint``.

    ``leave_out`` is None where the caller has no such option.

    Returns:
        The module's own part of them, by its own keys.
    """
    if isinstance(state, PackedState):
        raise CheckpointError(f'{checkpoint}: is a packed model, whose weights are bits: nothing can be '
                              'trained from it. Give the checkpoint that it was packed of')
    if prefix is None:
        found = {key: value for key, value in state.items() if not key.startswith('fc.')}
    else:
        prefix = prefix if prefix.endswith('.') else f'{prefix}.'
        parts = sorted({key.split('.')[0] for key in state})
        found = {key[len(prefix):]: value for key, value in state.items() if key.startswith(prefix)}
        if not found:
            raise CheckpointError(f"{checkpoint}: no key begins with prefix='{prefix}'. Its keys begin with "
                                  f'{", ".join(parts)}')
    wanted = module.state_dict()
    found = {key: value for key, value in found.items()
             if key in wanted or not is_named(key, leave_out or ())}
    left_over = found.keys() - wanted.keys()
    problems = [*lacking(wanted, found), _listed('left over', left_over)]
    if any(problems):
        hints = ['Depth, stem, block and binarizer must be those that it was trained with.']
        if prefix is None and any(key.startswith('backbone.') for key in left_over):
            hints.append("It is the checkpoint of a whole model: add prefix='backbone.' beside checkpoint=.")
        if left_over and leave_out is not None:
            hints.append(f'Keys that another tool left there go by leave_out={last_names(left_over)} beside '
                         'checkpoint=.')
        raise CheckpointError(f'{checkpoint} does not fit {type(module).__name__}: '
                              f'{"; ".join(filter(None, problems))}. {" ".join(hints)}')
    return found


def is_named(key: str, names: Iterable[str]) -> bool:
    """Whether one of the names stands in a key between dots: 'total_ops' in 'layer1.0.total_ops'."""
    return any(f'.{name}.' in f'.{key}.' for name in names)


def last_names(keys: Iterable[str], most: int = 4) -> list[str]:
    """What keys end in: ['total_ops', 'total_params'] for those that a tool left at every layer."""
    return sorted({key.rpartition('.')[2] for key in keys})[:most]


def check_weights(model: nn.Module, checkpoint: str) -> None:
    """Makes sure that a checkpoint has every weight that a model evaluates with.

    An auxiliary head only trains: its weights and memories may be missing, as from a training without it or
    by an older version. What the checkpoint has beyond (a further head) may stay.

    Args:
        model: The model; wrappers (several ranks, test-time augmentation) are looked through.
        checkpoint: Path or address.

    Raises:
        CheckpointError: Weights are missing or of another shape; names the keys.
    """
    while isinstance(getattr(model, 'module', None), nn.Module):
        model = model.module
    loaded = CheckpointLoader.load_checkpoint(checkpoint, map_location='cpu', logger='silent')
    if isinstance(loaded.get('state_dict'), PackedState):  # is compared with the model when it enters it
        return
    wanted = {key: value for key, value in model.state_dict().items()
              if not key.startswith('auxiliary_head.')}
    problems = lacking(wanted, loaded.get('state_dict', loaded))
    if problems:
        raise CheckpointError(
            f'{checkpoint} does not fit the {type(model).__name__} of this config: '
            f'{"; ".join(problems)}. Give the config that it was trained with.')


def lacking(wanted: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> list[str]:
    """What ``found`` lacks of ``wanted``, in words: keys that are missing, keys of another shape."""
    return [problem for problem in (
        _listed('missing', wanted.keys() - found.keys()),
        _listed('of another shape', (
            f'{key} {tuple(found[key].shape)}, expected {tuple(wanted[key].shape)}'
            for key in wanted.keys() & found.keys()
            # An empty buffer, such as a memory bank's, takes its size from the checkpoint.
            if wanted[key].numel() and found[key].shape != wanted[key].shape))) if problem]


def _listed(what: str, keys: Iterable[str], shown: int = 6) -> str:
    names = sorted(key for key in keys if not key.endswith('num_batches_tracked'))
    more = f' and {len(names) - shown} more' if len(names) > shown else ''
    return f'{len(names)} {what}: {", ".join(names[:shown])}{more}' if names else ''
