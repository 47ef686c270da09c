"""The sum of maps of several sizes."""
from collections.abc import Sequence
from typing import Optional

from mmseg.models.utils import resize
from torch import Tensor, nn


class ResizedSum(nn.Module):
    """(N, C, H_i, W_i) each -> the sum of all, resized to the first one's size, and of a bias (C,).

    Args:
        mode, align_corners: As in ``F.interpolate``.
    """

    def __init__(self, mode: str = 'bilinear', align_corners: Optional[bool] = False) -> None:
        super().__init__()
        self.mode, self.align_corners = mode, align_corners

    def forward(self, maps: Sequence[Tensor], bias: Optional[Tensor] = None) -> Tensor:
        first, *others = maps
        total, size = first, first.shape[2:]
        for x in others:
            if x.shape[2:] != size:
                x = resize(x, size, mode=self.mode, align_corners=self.align_corners, warning=False)
            total = first + x if total is first else total.add_(x)
        if bias is None:
            return total
        bias = bias.view(-1, 1, 1)
        return first + bias if total is first else total.add_(bias)

    def extra_repr(self) -> str:
        return f'mode={self.mode}, align_corners={self.align_corners}'
