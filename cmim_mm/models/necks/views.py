"""Further forward passes of an encoder within one training step: a second view, a moving average."""
from collections.abc import Mapping, Sequence
from typing import Optional

import torch
from torch import Tensor, nn
from torch.func import functional_call

from ..cls_data_preprocessor import crop_and_flip
from ..features import Features


def second_view(images: Tensor) -> Tensor:
    """Another random crop (padded by reflection, an eighth of the shorter side) and flip of (N, C, H, W)."""
    return crop_and_flip(images, max(1, min(images.shape[2:]) // 8), flip=True)


def encode_again(encoder: nn.Module, images: Tensor,
                 parameters: Optional[Mapping[str, Tensor]] = None) -> Features:
    """A forward pass in training mode that leaves the encoder's buffers (running statistics) as they are.

    Args:
        encoder: A backbone with taps.
        images: (N, C, H, W).
        parameters: Stand in for the encoder's own of those names.
    """
    buffers = {name: buffer.clone() for name, buffer in encoder.named_buffers()}
    return functional_call(encoder, {**buffers, **(parameters or {})}, (images, ))


class MovingAverage(nn.Module):
    r"""A moving average of an encoder's parameters: :math:`\bar\theta \leftarrow m\bar\theta + (1-m)\theta`.

    The average starts as the encoder of the first call and is kept in buffers, so in checkpoints too; a
    run that goes on from one goes on exactly. Batch norms take the statistics of the batch; what is no
    parameter (a binarizer's progress or rotation) is the encoder's own.

    He et al., Momentum Contrast, arXiv 1911.05722, eq. 2.

    Args:
        momentum: m, 0 <= m < 1.

    Raises:
        ValueError: m lies outside.
    """

    def __init__(self, momentum: float) -> None:
        super().__init__()
        if not 0 <= momentum < 1:
            raise ValueError(f'ContrastiveMINeck: latent_momentum={momentum}, expected 0 <= momentum < 1')
        self.momentum = momentum

    @torch.no_grad()
    def update(self, encoder: nn.Module) -> None:
        """One step towards the encoder's parameters."""
        for name, parameter in encoder.named_parameters():
            key = name.replace('.', '/')  # a buffer's name has no dot
            if key in self._buffers:
                self._buffers[key] = self._buffers[key].to(parameter.device).lerp(
                    parameter, 1 - self.momentum)
            else:
                self.register_buffer(key, parameter.detach().clone())

    @torch.no_grad()
    def forward(self, encoder: nn.Module, images: Tensor) -> Features:
        """Features of the averaged encoder; no gradient."""
        self.update(encoder)
        average = {key.replace('/', '.'): value for key, value in self._buffers.items()}
        return encode_again(encoder, images, average)

    def _load_from_state_dict(self, state_dict: dict, prefix: str, local_metadata: dict, strict: bool,
                              missing_keys: Sequence[str], unexpected_keys: Sequence[str],
                              error_msgs: Sequence[str]) -> None:
        for name, value in state_dict.items():
            key = name[len(prefix):]
            if name.startswith(prefix) and '.' not in key and key not in self._buffers:
                self.register_buffer(key, torch.empty_like(value))
        super()._load_from_state_dict(state_dict, prefix, local_metadata, strict, missing_keys,
                                      unexpected_keys, error_msgs)
