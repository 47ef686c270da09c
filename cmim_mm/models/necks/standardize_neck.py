"""Feature maps with mean 0 and variance 1 in each channel."""
from collections.abc import Sequence

from mmengine.model import BaseModule
from torch import Tensor, nn

from cmim_mm.registry import MODELS


@MODELS.register_module()
class StandardizeNeck(BaseModule):
    """(x - mean_c) / sqrt(var_c + 1e-5) of each feature map: batch norm without affine parameters.

    It trains nothing, so a linear head behind it is a linear probe still, whose learning rate no longer
    depends on the scale of the encoder's features. Training standardizes by the batch and keeps running
    means, which evaluation uses.

    Args:
        in_channels: Of the maps.
    """

    def __init__(self, in_channels: Sequence[int]) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels, affine=False) for channels in in_channels)

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Maps (N, C_i, H_i, W_i) -> the same shapes.

        Raises:
            ValueError: Not as many maps as ``in_channels`` has entries.
        """
        if len(maps) != len(self.norms):
            raise ValueError(f'StandardizeNeck: {len(maps)} maps, but in_channels has {len(self.norms)} '
                             'entries')
        return tuple(norm(x) for norm, x in zip(self.norms, maps))
