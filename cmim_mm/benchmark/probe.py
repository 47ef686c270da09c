"""What a linear probe puts on an encoder, and whether an encoder fits a task."""
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope

from cmim_mm.checkpoint import CheckpointError
from cmim_mm.models.pretrained import check_pretrained
from cmim_mm.registry import MODELS

from .grid import GridError


class Maps(NamedTuple):
    """What a backbone gives: channels of its feature maps, and how many stages ``frozen_stages`` counts."""
    channels: tuple[int, ...]
    num_stages: int


class Backbones:
    """Builds each encoder once for each task and looks whether it fits; ``path`` is named in errors."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.known: dict[tuple[str, str], Maps] = {}

    def check(self, encoder: str, task: str, model: ConfigDict) -> Maps:
        """Of the model's backbone.

        Raises:
            GridError: It cannot be built, its checkpoint does not fit, or its maps do not fit the head.
        """
        if (encoder, task) not in self.known:
            where = f"{self.path}: encoder '{encoder}' does not fit task '{task}': "
            maps = self._build(where, dict(model.backbone))
            self._compare(where, maps, model)
            self.known[encoder, task] = maps
        return self.known[encoder, task]

    def _build(self, where: str, cfg: dict) -> Maps:
        init_default_scope('mmseg')
        init = cfg.pop('init_cfg', None)
        try:
            backbone = MODELS.build(cfg).eval()
            with torch.no_grad():
                maps = backbone(torch.zeros(1, cfg.get('in_channels', 3), 64, 64))
            # A pretraining of this grid has not left its checkpoint yet.
            if init and Path(init['checkpoint']).is_file():
                check_pretrained(backbone, init['checkpoint'], init['prefix'])
        except CheckpointError as error:
            raise GridError(f'{where}{error}') from error
        except (TypeError, ValueError, KeyError, AssertionError) as error:
            raise GridError(f"{where}its backbone {cfg.get('type')} cannot be built: {error}") from error
        if not hasattr(backbone, 'num_stages'):
            raise GridError(f"{where}{cfg['type']} has no num_stages, so it cannot be frozen")
        return Maps(tuple(int(x.shape[1]) for x in maps), backbone.num_stages)

    @staticmethod
    def _compare(where: str, maps: Maps, model: ConfigDict) -> None:
        head = model.get('decode_head', {})
        wanted, index = head.get('in_channels'), head.get('in_index', -1)
        if 'neck' in model or wanted is None:
            return
        single = isinstance(wanted, int)
        try:
            given = [maps.channels[i] for i in ([index] if isinstance(index, int) else index)]
        except IndexError:
            given = list(maps.channels)
        if given != ([wanted] if single else list(wanted)):
            raise GridError(f'{where}its maps have {given} channels, decode_head.in_channels is {wanted}; '
                            'give a backbone of that width, or set model.decode_head.in_channels in the '
                            'options')


def to_linear_probe(model: ConfigDict, channels: Sequence[int]) -> None:
    """Replaces everything behind the backbone by one linear map of each position, in place.

    All feature maps are standardized (batch norm without affine parameters, which the linear map could
    absorb), resized to the finest and concatenated; a 1x1 convolution makes class scores or the logit of
    depth. DINOv2 (arXiv 2304.07193, sec. 7.4) probes dense tasks in the same way.

    Args:
        model: A segmentor's or depth estimator's config, with the loss that its head had.
        channels: Of the backbone's maps.

    Raises:
        GridError: Another kind of model.
    """
    head = model.decode_head
    common = dict(in_channels=list(channels), in_index=list(range(len(channels))),
                  align_corners=head.get('align_corners', False), loss_decode=head.loss_decode)
    kind = str(model.type).rpartition('.')[2]
    if kind == 'EncoderDecoder':
        probe: dict[str, Any] = dict(
            type='cmim_mm.FCNHead', input_transform='resize_concat', channels=sum(channels), num_convs=0,
            concat_input=False, dropout_ratio=0.0, num_classes=head.num_classes, **common)
    elif kind == 'DepthEstimator':
        limits = {key: head[key] for key in ('min_depth', 'max_depth') if key in head}
        probe = dict(type='cmim_mm.LinearDepthHead', **limits, **common)
    else:
        raise GridError(f"mode 'linear' has no probe for a {model.type}; take it out of modes")
    model.pop('auxiliary_head', None)
    model.neck = dict(type='cmim_mm.StandardizeNeck', in_channels=list(channels))
    model.decode_head = probe
