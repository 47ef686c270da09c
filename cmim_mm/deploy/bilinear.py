"""Sums of resized maps in a packed model's head, in one pass."""
from collections.abc import Sequence
from typing import Optional

import torch
from torch import Tensor, nn

from cmim_mm.models.heads.resized_sum import ResizedSum
from cmim_mm.models.heads.seg_heads import SegformerHead

from . import ops, torch_path


class BilinearSum(nn.Module):
    """``ResizedSum`` by :func:`~cmim_mm.deploy.ops.bilinear_sum`, and a ReLU behind it.

    Args:
        align_corners: As in ``F.interpolate``.
        relu: Whether negative sums become 0.
    """

    def __init__(self, align_corners: Optional[bool] = False, relu: bool = False) -> None:
        super().__init__()
        self.align_corners, self.relu = bool(align_corners), relu

    def forward(self, maps: Sequence[Tensor], bias: Optional[Tensor] = None) -> Tensor:
        # Compilers and exporters join torch's own operations by themselves.
        add = torch_path.bilinear_sum if torch.compiler.is_compiling() else ops.bilinear_sum
        return add(maps, None, bias, self.relu, self.align_corners)

    def extra_repr(self) -> str:
        return f'align_corners={self.align_corners}, relu={self.relu}'


def bilinear(resized: ResizedSum) -> nn.Module:
    """That sum as one of these, or itself where it resizes by another mode."""
    return BilinearSum(resized.align_corners) if resized.mode == 'bilinear' else resized


def fold_relu(head: SegformerHead) -> None:
    """Takes the ReLU behind the fusion into its sum, where no norm is left between them."""
    fusion, add = head.fusion_conv, head.resized_sum
    if isinstance(add, BilinearSum) and type(head).forward is SegformerHead.forward \
            and not fusion.with_norm and fusion.with_activation and type(fusion.activate) is nn.ReLU:
        add.relu, fusion.with_activation = True, False
        del fusion.activate
