"""CMIM piled on a model: any backbone with taps, any neck, any heads."""
import inspect
from collections.abc import Sequence
from typing import Optional

import torch
from torch import nn

from cmim_mm.registry import MODELS

from .features import Tap, find_taps, map_channels
from .heads import CMIMHead
from .hidden_prefix import hide_prefix
from .necks import ContrastiveMINeck
from .teacher import teacher_config


@MODELS.register_module(name='CMIM')
def build_with_cmim(on: str, cmim: Optional[dict] = None, teacher: Optional[dict] = None,
                    **model) -> nn.Module:
    """Builds a model and piles CMIM on it: the ``type`` of a model's config, the other keys of which stay.

        _base_ = './nyud_seg_bnn.py'
        model = dict(type='cmim_mm.CMIM', on=_base_.model.type, cmim=dict(neck=..., head=...))

    Args:
        on: The model's own type, e.g. 'EncoderDecoder'.
        cmim: Arguments of :func:`add_cmim`.
        teacher: Config of a ``cmim_mm.FrozenTeacher``; its ``model`` is this model's full-precision twin
            unless it says another.
        model: The model's own arguments.

    Raises:
        ValueError: A teacher that nothing reads, and as :func:`add_cmim`.
        TypeError: An option that belongs elsewhere.
    """
    cmim = dict(cmim or {})
    cfg = dict(type=on, **model)
    if teacher is not None:
        with MODELS.switch_scope_and_registry(None) as registry:
            has_slot = 'teacher' in inspect.signature(registry.get(on)).parameters
        if has_slot:
            cfg['teacher'] = teacher
        elif _latent_type(cmim.get('neck')) == 'Teacher':
            neck = cmim['neck']
            cmim['neck'] = dict(neck, latent=dict(neck['latent'], teacher=teacher_config(teacher, cfg)))
        else:
            raise ValueError(f"cmim_mm.CMIM: nothing reads model.teacher; '{on}' has no teacher of its own, "
                             "so contrast with it: cmim.neck.latent.type='Teacher'")
    return add_cmim(MODELS.build(cfg), **cmim)


def add_cmim(model: nn.Module, taps: Sequence[Tap] = (-1, ), neck: Optional[dict] = None,
             head: Optional[dict] = None) -> nn.Module:
    """Puts CMIM into the slots of a built model: the backbone's taps, the neck, the auxiliary heads.

    A neck that the model has becomes the inner one, and CMIM's head joins the auxiliary heads; their keys in
    checkpoints stay. Widths are read from the model. Nothing else of it changes, so it starts from the same
    random numbers as without.

    Args:
        model: With ``backbone`` (of this project), and perhaps ``neck``, ``auxiliary_head`` and ``teacher``.
        taps: Binary convolutions to contrast at: a number is the last one of that stage (from 0; negative
            from the end), a string a module's name.
        neck: Arguments of ``ContrastiveMINeck`` beside ``in_channels`` and ``inner``.
        head: Arguments of ``CMIMHead`` beside ``dim``; ``tap_weights`` are 1 unless given.

    Returns:
        The model.

    Raises:
        ValueError: Taps that do not exist, CMIM twice, or arguments that do not fit.
    """
    if getattr(model.backbone, 'tap_names', None) is None:
        raise ValueError(f'add_cmim: the backbone {type(model.backbone).__name__} records no latent and '
                         'binary activations; use BinaryResNet, BinaryVGG or BinaryMobileNet')
    if isinstance(getattr(model, 'neck', None), ContrastiveMINeck):
        raise ValueError('add_cmim: the model has CMIM already; leave out the second one')
    taps = (taps, ) if isinstance(taps, (int, str)) else tuple(taps)
    neck, head = dict(neck or {}), dict(head or {})
    model.backbone.set_taps(taps)
    convs = find_taps(model.backbone, taps)
    latent_type, latent = _latent_type(neck), dict(neck.pop('latent', {}))
    channels = [conv.in_channels for conv in convs.values()]
    if latent.get('features') is not None:
        widths = map_channels(model.backbone)
        channels = [widths[i] for i in latent['features']]
    if latent_type == 'Teacher' and getattr(model, 'teacher', None) is not None:
        latent = dict(latent, teacher=model.teacher)
    with torch.random.fork_rng(devices=[]):
        neck = ContrastiveMINeck(channels, latent=latent, inner=getattr(model, 'neck', None), **neck)
        number = len(neck.binary)
        head.setdefault('tap_weights', (1.0, ) * number)
        if len(head['tap_weights']) != number:
            raise ValueError(f"add_cmim: {len(head['tap_weights'])} tap_weights for {number} contrasts, one "
                             f'for each tap{" but the last" if number < len(channels) else ""}')
        added = CMIMHead(dim=neck.dim, **head)
    model.neck = neck
    model.neck.source.start(model.backbone)
    for name, memory in zip(convs, added.memories):
        memory.origin.update(layer=name, **model.neck.describe())
    model.auxiliary_head = _joined(getattr(model, 'auxiliary_head', None), added)
    return model


def _latent_type(neck: Optional[dict]) -> str:
    return (neck or {}).get('latent', {}).get('type', 'SamePass').rpartition('.')[2]


def _joined(heads: Optional[nn.Module], added: CMIMHead) -> nn.Module:
    """The auxiliary heads with one more; those before keep their keys in checkpoints."""
    if heads is None:
        return added
    if isinstance(heads, nn.ModuleList):
        return heads.append(added)
    heads = nn.ModuleList([heads, added])
    hide_prefix(heads, '0.', keep=('1.', ))
    return heads
