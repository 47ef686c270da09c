"""Binary ResNet with four feature maps."""
from collections.abc import Sequence
from functools import partial
from typing import Optional, Union

from mmcv.cnn import build_norm_layer
from mmengine.model import BaseModule, Sequential
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from cmim_mm.binarize import BinaryConv2d, get_binarizer
from cmim_mm.registry import MODELS

from .blocks import BLOCKS, BasicBlock, full_shortcut

#: 3x3 convolutions a stage.
DEPTHS = {18: (4, 4, 4, 4), 34: (6, 8, 12, 6)}
#: (stride, dilation) of each stage.
OUTPUT_STRIDES = {
    8: ((1, 1), (2, 1), (1, 2), (1, 4)),
    16: ((1, 1), (2, 1), (2, 1), (1, 2)),
    32: ((1, 1), (2, 1), (2, 1), (2, 1)),
}
CHANNELS = (64, 128, 256, 512)
DOWNSAMPLES = ('full', 'binary')


@MODELS.register_module()
class BinaryResNet(BaseModule):
    """ResNet-18 or -34 with the ImageNet stem, whose 3x3 convolutions of stages 1 to 4 are binary.

    The stem's 7x7 convolution, the norms and, unless asked otherwise, the 1x1 convolutions of the
    downsamples stay in full precision, as in Bi-Real (arXiv 1808.00278) and ReActNet (arXiv 2003.03488).

    Args:
        depth: 18 or 34.
        in_channels: Channels of the image, e.g. 1 (grey, depth) or 4 (RGB-D).
        binarizer: Name or config of a binarizer; None for the full-precision twin, which has the
            published ResNet layout (ReLU, 1x1 convolution with stride as downsample) and the parameter
            names that published ResNet weights have.
        block: 'plain', 'bireal', 'react' or 'maxout'; None takes the one of the binarizer's recipe.
        output_stride: 8, 16 or 32, of the last feature map; below 32 dilation replaces stride.
        out_indices: Stages (0 to 3) whose feature maps are returned.
        frozen_stages: Stem (0) and stages up to this one (1 to 4) do not train; -1 freezes nothing.
        norm_cfg: Norm layers.
        norm_eval: Keeps the statistics of batch norms while training.
        downsample: 'full' or 'binary' 1x1 convolutions on the shortcuts.
        init_cfg: E.g. ``dict(type='Pretrained', checkpoint=..., prefix='backbone.')``.

    Raises:
        ValueError: An argument outside the values above; the message lists them.
        KeyError: An unknown binarizer; the message lists the names.
    """

    def __init__(self,
                 depth: int = 18,
                 in_channels: int = 3,
                 binarizer: Union[str, dict, None] = 'ReActNet',
                 block: Optional[str] = None,
                 output_stride: int = 32,
                 out_indices: Sequence[int] = (0, 1, 2, 3),
                 frozen_stages: int = -1,
                 norm_cfg: dict = dict(type='BN'),  # noqa: B006
                 norm_eval: bool = False,
                 downsample: str = 'full',
                 init_cfg: Union[dict, Sequence[dict], None] = None) -> None:
        super().__init__(init_cfg)
        _check('depth', depth, DEPTHS)
        _check('output_stride', output_stride, OUTPUT_STRIDES)
        _check('downsample', downsample, DOWNSAMPLES)
        _check('frozen_stages', frozen_stages, range(-1, 5))
        for index in out_indices:
            _check('out_indices', index, range(4))
        self.out_indices = tuple(out_indices)
        self.frozen_stages = frozen_stages
        self.norm_eval = norm_eval
        self.full_precision = binarizer is None

        block_type = _block_type(binarizer, block)
        conv = nn.Conv2d if self.full_precision else partial(BinaryConv2d, binarizer=binarizer)
        if self.full_precision:
            shortcut = _strided_shortcut
        else:
            shortcut = partial(full_shortcut, conv=nn.Conv2d if downsample == 'full' else conv)
        self.conv1 = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = build_norm_layer(norm_cfg, 64)[1]
        self.act = block_type.stem_act()
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        width, last_dilation = 64, 1
        for i, (stride, dilation) in enumerate(OUTPUT_STRIDES[output_stride]):
            blocks = []
            for j in range(DEPTHS[depth][i] // block_type.convs):
                fits = j > 0 or (stride == 1 and width == CHANNELS[i])
                blocks.append(block_type(
                    width, CHANNELS[i], conv, norm_cfg, stride=1 if j else stride,
                    # The first block reads the grid of the stage before.
                    dilation=dilation if j else last_dilation,
                    shortcut=None if fits else shortcut(width, CHANNELS[i], stride, norm_cfg=norm_cfg)))
                width = CHANNELS[i]
            last_dilation = dilation
            self.add_module(f'layer{i + 1}', Sequential(*blocks))

        for module in self.modules():
            if type(module) is nn.Conv2d:  # binary convolutions initialize themselves
                nn.init.kaiming_normal_(module.weight, mode='fan_out', nonlinearity='relu')
        self._freeze()

    @property
    def stages(self) -> tuple[Sequential, ...]:
        """layer1 to layer4."""
        return self.layer1, self.layer2, self.layer3, self.layer4

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """(N, in_channels, H, W) -> the chosen of four maps with 64, 128, 256 and 512 channels.

        Their strides are 4, 8, 16, 32, bounded by ``output_stride``; odd sizes round up.
        """
        x = self._stem(x)
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return tuple(features[i] for i in self.out_indices)

    def _stem(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        if self.full_precision:
            return self.maxpool(self.act(self.bn1(x)))
        # The maximum of centred values is positive (66 % of them on photographs, over 99 % on noise):
        # a norm behind the pool, as in XNOR-Net, centres what the first binary convolution gets.
        return self.act(self.bn1(self.maxpool(x)))

    def train(self, mode: bool = True) -> 'BinaryResNet':
        """As in nn.Module, with frozen stages, and norms under ``norm_eval``, kept in eval mode."""
        super().train(mode)
        self._freeze()
        if self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self

    def _freeze(self) -> None:
        if self.frozen_stages < 0:
            return
        for module in (self.conv1, self.bn1, self.act, *self.stages[:self.frozen_stages]):
            module.eval()
            module.requires_grad_(False)


def _strided_shortcut(in_channels: int, channels: int, stride: int, norm_cfg: dict) -> Sequential:
    return Sequential(nn.Conv2d(in_channels, channels, 1, stride=stride, bias=False),
                      build_norm_layer(norm_cfg, channels)[1])


def _block_type(binarizer: Union[str, dict, None], block: Optional[str]) -> type[nn.Module]:
    if binarizer is None:
        if block is not None:
            raise ValueError(f'BinaryResNet: block={block!r} needs a binarizer; the full-precision twin '
                             '(binarizer=None) has ordinary basic blocks only')
        return BasicBlock
    block = get_binarizer(binarizer).block if block is None else block
    _check('block', block, BLOCKS)
    return BLOCKS[block]


def _check(argument: str, value: object, valid: Sequence) -> None:
    if value not in valid:
        raise ValueError(f'BinaryResNet: {argument}={value!r} is unknown; valid are '
                         f'{", ".join(map(str, valid))}')
