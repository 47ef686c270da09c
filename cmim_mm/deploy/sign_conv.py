"""The integer part of a binary convolution: signs in, sums of signs out."""
import copy
from typing import Callable, Optional, Union

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cmim_mm.binarize import BinaryConv2d
from cmim_mm.checkpoint import CheckpointError

from . import ops
from .format import pack_bits, unpack_bits
from .torch_path import pack_bits as pack_words


class SignConv2d(nn.Module):
    """S = sum of s b over the taps inside the image, (N, C, H, W) -> (N, O, H', W') int32, exact.

    s are the signs of the filters, b = 1 where x >= threshold, else -1. Geometry and padding are the trained
    layer's.

    Attributes:
        bits: ceil(O kh kw I/g / 8) bytes, the signs s in the file's order.
        threshold: (C,); None where a statistic of each image takes its place.
        shape: (O, I/g, kh, kw).
        crop: Rows and columns to cut off in front of what the operators give.
        takes_bits: Whether it can read bits that the convolution before has packed.

    Args:
        conv: The trained layer.

    Raises:
        ValueError: Its weights are not 1-bit.
    """

    def __init__(self, conv: BinaryConv2d) -> None:
        super().__init__()
        self.training = False
        self.in_channels, self.out_channels, self.groups = conv.in_channels, conv.out_channels, conv.groups
        self.shape, self.stride, self.dilation = tuple(conv.weight.shape), conv.stride, conv.dilation
        self.padding, self.crop, self.pad = _padding(conv)
        with torch.no_grad():
            self.register_buffer('bits', pack_bits(conv.weight_form().sign))
            # Two images tell a statistic of each from a threshold of all.
            threshold = conv.activation_form(conv.weight.new_zeros(2, conv.in_channels, 1, 1)).threshold
            self.statistic: Optional[Callable] = None
            if isinstance(threshold, Tensor) and threshold.dim() == 4 and len(threshold) == 2:
                self.statistic = _statistic(conv)
                self._add('threshold', None)
            else:
                kept = isinstance(threshold, Tensor)
                self._add('threshold', vector(threshold).expand(self.in_channels), kept)

    def _add(self, name: str, value: Optional[Tensor], kept: bool = True) -> None:
        """A buffer; in the file unless the model's config gives it."""
        value = None if value is None else value.detach().float().clone().contiguous()
        self.register_buffer(name, value, persistent=kept)

    @property
    def takes_bits(self) -> bool:
        return self.statistic is None and self.pad is None

    def train(self, mode: bool = True) -> 'SignConv2d':
        """Stays in eval mode.

        Raises:
            CheckpointError: Training was asked for.
        """
        if mode:
            raise CheckpointError('a packed model has no weights to train, only bits; train the one that it '
                                  'was packed of')
        return super().train(mode)

    def signs(self) -> Tensor:
        """s, (O, I/g, kh, kw) int8."""
        return unpack_bits(self.bits, self.shape)

    def prepare(self) -> 'SignConv2d':
        """Makes what the kernel reads out of the state; to be called once that is there, before any call."""
        words = pack_words(self.signs().permute(0, 2, 3, 1) > 0, 1)
        self.register_buffer('_weight', words, persistent=False)
        self.register_buffer('_prepared', ops.prepare_weight(words, self.in_channels, self.groups),
                             persistent=False)
        return self

    def pack(self, x: Tensor) -> Tensor:
        """The bits of x, (N, C, H, W) float; those of x where it is bits (int64) already."""
        if x.dtype == torch.int64:
            return x
        threshold = self.threshold[None] if self.statistic is None else self.statistic(x).flatten(1)
        if self.pad is not None:
            x = F.pad(x, *self.pad)
        return ops.pack_sign(x, threshold, self.groups)

    def geometry(self) -> tuple:
        """What the operators take of a convolution, from ``in_channels`` to ``groups``."""
        return self.in_channels, self.stride, self.padding, self.dilation, self.groups

    def accumulate(self, x: Tensor) -> Tensor:
        """S."""
        s = ops.binary_conv2d(self.pack(x), self._weight, *self.geometry(), self._prepared)
        return s[..., self.crop[0]:, self.crop[1]:]

    def extra_repr(self) -> str:
        return f'{self.in_channels}, {self.out_channels}, kernel_size={self.shape[2:]}, stride={self.stride}'


def vector(part: Union[Tensor, float]) -> Tensor:
    """A number, or what a form has for each filter, one-dimensional."""
    return torch.as_tensor(part, dtype=torch.float32).flatten()


def _padding(conv: BinaryConv2d) -> tuple[tuple[int, int], tuple[int, int], Optional[tuple]]:
    """Zero padding on both sides, rows and columns to cut off in front, what F.pad does in its place.

    'same' pads a pixel more behind where a dilated filter is even; here as much in front is cut off again.
    """
    if conv.padding_mode != 'zeros':
        return (0, 0), (0, 0), (tuple(conv._reversed_padding_repeated_twice), conv.padding_mode)
    if conv.padding == 'valid':
        return (0, 0), (0, 0), None
    if conv.padding == 'same':
        totals = [d * (k - 1) for d, k in zip(conv.dilation, conv.kernel_size)]
        return tuple(-(-t // 2) for t in totals), tuple(t % 2 for t in totals), None
    return conv.padding, (0, 0), None


def _statistic(conv: BinaryConv2d) -> Callable[[Tensor], Tensor]:
    """The threshold of each image, computed without the layer's state.

    Raises:
        ValueError: It needs state.
    """
    binarizer = copy.copy(conv.binarizer)
    binarizer._parameters, binarizer._buffers = {}, {}
    try:
        binarizer.activation_form(torch.zeros(2, conv.in_channels, 1, 1))
    except AttributeError as error:
        raise ValueError(f'{type(binarizer).__name__}: its threshold is computed of each image and of '
                         f'parameters ({error}), which a packed layer has no place for') from error
    return lambda x: binarizer.activation_form(x).threshold
