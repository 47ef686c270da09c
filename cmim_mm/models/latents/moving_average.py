"""a_F of a moving average of the encoder."""
from collections.abc import Sequence
from typing import Optional

import torch
from torch import nn

from cmim_mm.registry import MODELS

from ..features import Features, Pair
from .base import LatentSource
from .encode import View, encode_again


@MODELS.register_module()
class MovingAverage(LatentSource):
    r"""The latent side is that of averages :math:`\bar\theta \leftarrow m\bar\theta + (1-m)\theta`.

    The average starts as the encoder of the first step and is kept in buffers, so in checkpoints too. It
    runs once a step, without gradient; its batch norms take the statistics of the batch, and what is no
    parameter (a binarizer's progress or rotation) is the encoder's own.

    He et al., Momentum Contrast, arXiv 1911.05722, eq. 2.

    Args:
        in_channels: Channels of each tap.
        momentum: m, 0 <= m < 1.
        second_view: Whether it sees another random crop and flip of the batch.
        area_range, colour: Of that view, as in :func:`~cmim_mm.models.latents.encode.View`.

    Raises:
        ValueError: m lies outside, how a second view looks is given where there is none, and as ``View``.
        RuntimeError: In training, :meth:`start` was not called.
    """

    def __init__(self,
                 in_channels: Sequence[int],
                 momentum: float = 0.99,
                 second_view: bool = False,
                 area_range: Optional[Sequence[float]] = None,
                 colour: float = 0.0) -> None:
        super().__init__(in_channels)
        if not 0 <= momentum < 1:
            raise ValueError(f'MovingAverage: momentum={momentum}, expected 0 <= momentum < 1')
        if not second_view and (area_range or colour):
            raise ValueError(f'MovingAverage: area_range={area_range}, colour={colour} are of a second view; '
                             'set second_view=True')
        self.momentum = momentum
        self.moves = second_view
        self.view = View(area_range, colour) if second_view else None
        self.register_buffer('started', torch.tensor(False))
        self._running = False  # known to be started, so that no step waits for the device
        self._names: dict[str, str] = {}  # of buffers, by those of the parameters; a buffer's has no dot

    def start(self, encoder: nn.Module) -> None:
        """Makes room for the parameters, before anything copies or loads the model."""
        for name, parameter in encoder.named_parameters():
            self._names[name] = name.replace('.', '/')
            self.register_buffer(self._names[name], parameter.detach().clone())

    def restart(self) -> None:
        """Begins anew with the encoder of the next step."""
        self.started.fill_(False)
        self._running = False

    def pairs(self, feats: Features) -> Sequence[Pair]:
        pairs = self._average(feats).pairs if self.training else feats.pairs
        return [(latent, binary) for (latent, _), (_, binary) in zip(pairs, feats.pairs)]

    @torch.no_grad()
    def _average(self, feats: Features) -> Features:
        """Features of the averaged encoder, after one step towards the encoder."""
        if not self._names:
            raise RuntimeError("MovingAverage: it does not know its encoder; build the model by "
                               "type='cmim_mm.CMIM' or add_cmim(model), or call start(encoder)")
        self._running = self._running or bool(self.started)
        for name, parameter in feats.encoder.named_parameters():
            average = self._buffers[self._names[name]]
            if self._running:
                average.lerp_(parameter, 1 - self.momentum)
            else:
                average.copy_(parameter)
        self.started.fill_(True)
        images = feats.inputs if self.view is None else self.view(feats.inputs)
        average = {name: self._buffers[key] for name, key in self._names.items()}
        return encode_again(feats.encoder, images, average)

    def _load_from_state_dict(self, *args, **kwargs) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._running = False
