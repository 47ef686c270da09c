"""Binary ResNet for images of any size and for CIFAR."""
from collections.abc import Sequence
from functools import partial
from typing import Optional, Union

from mmcv.cnn import build_norm_layer
from mmengine.model import Sequential
from torch import Tensor, nn

from cmim_mm.binarize import BinaryConv2d
from cmim_mm.registry import MODELS

from ..features import Tap
from .base import Backbone
from .blocks import BLOCKS, BasicBlock, MaxPool2d
from .bottleneck import BOTTLENECKS
from .shortcuts import DOWNSAMPLES, make_shortcut

#: Convolutions a stage (those of shortcuts not counted).
DEPTHS = {18: (4, 4, 4, 4), 20: (6, 6, 6), 34: (6, 8, 12, 6), 50: (9, 12, 18, 9)}
#: Output strides of each stem.
STEMS = dict(imagenet=(8, 16, 32), imagenet_pool_last=(8, 16, 32), cifar=(1, 2, 4, 8, 16, 32),
             imagenet_linear=(8, 16, 32), cifar_linear=(1, 2, 4, 8, 16, 32))


@MODELS.register_module()
class BinaryResNet(Backbone):
    """ResNet-18, -34, -50 or CIFAR's ResNet-20, whose convolutions in the stages are binary.

    The stem's convolution, the norms and, unless asked otherwise, the 1x1 convolutions of the
    downsamples stay in full precision, as in Bi-Real (arXiv 1808.00278) and ReActNet (arXiv 2003.03488).
    Feature maps have 64, 128, 256 and 512 channels (depth 50: four times that; depth 20: 16, 32, 64) at
    strides 4, 8, 16, 32 (CIFAR's stem: 1, 2, 4, 8), bounded by ``output_stride``.

    Args:
        depth: 18, 34, 50, or 20 with three stages (arXiv 1512.03385, sec. 4.2).
        in_channels: Channels of the image, e.g. 1 (grey, depth) or 4 (RGB-D).
        binarizer: Name or config of a binarizer; None for the full-precision twin, which has the
            published ResNet layout (ReLU, 1x1 convolution with stride as downsample) and the parameter
            names that published ResNet weights have.
        block: 'plain', 'bireal', 'hardtanh', 'react' or 'maxout'; None takes the one of the binarizer's
            recipe (with CIFAR's stem 'hardtanh' for 'bireal').
        output_stride: Of the last feature map: 8, 16 or 32, with CIFAR's stem 1, 2 and 4 too; below the
            network's own, dilation replaces stride.
        out_indices: Stages (from 0) whose feature maps are returned; None for all.
        frozen_stages: Stem (0) and stages up to this one (from 1) do not train; -1 freezes nothing.
        norm_cfg: Norm layers.
        norm_eval: Keeps the statistics of batch norms while training.
        downsample: Shortcuts that change the shape: 'full' (average pool and 1x1 convolution) or
            'strided' (1x1 convolution with stride), 'binary' or 'strided_binary' (the same with a binary
            convolution), 'pad' (every second pixel, zeros for new channels) or 'pool_pad'. None takes
            'pad' at depth 20, 'strided' for the full-precision twin, else 'full'.
        stem: 'imagenet' (7x7 convolution with stride 2, max pool, norm), 'imagenet_pool_last' (the norm
            and the block's nonlinearity before the pool, as in the code of IR-Net and AdaBin), 'cifar'
            (3x3 convolution, norm, the block's nonlinearity), or without a nonlinearity
            'imagenet_linear' (the norm before the pool, as in the code of ReActNet) and 'cifar_linear' (as
            in IR-Net's ResNet-18); None takes 'cifar' at depth 20.
        taps: Binary convolutions to record in training, e.g. ``(3,)`` for the last one of the fourth stage;
            see :class:`~cmim_mm.models.backbones.base.Backbone`.
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
                 out_indices: Optional[Sequence[int]] = None,
                 frozen_stages: int = -1,
                 norm_cfg: dict = dict(type='BN'),  # noqa: B006
                 norm_eval: bool = False,
                 downsample: Optional[str] = None,
                 stem: Optional[str] = None,
                 taps: Sequence[Tap] = (),
                 init_cfg: Union[dict, Sequence[dict], None] = None) -> None:
        self._check('depth', depth, DEPTHS)
        super().__init__(len(DEPTHS[depth]), out_indices, frozen_stages, norm_eval, taps, init_cfg)
        stem = stem or ('cifar' if depth == 20 else 'imagenet')
        self._check('stem', stem, STEMS)
        self._check('output_stride', output_stride, STEMS[stem])
        self.full_precision = binarizer is None
        downsample = downsample or ('pad' if depth == 20 else 'strided' if self.full_precision else 'full')
        self._check('downsample', downsample, DOWNSAMPLES)

        cifar = stem.startswith('cifar')
        blocks = BOTTLENECKS if depth == 50 else {**BLOCKS, None: BasicBlock}
        block_type = self._block(binarizer, block, blocks, cifar)
        conv = nn.Conv2d if self.full_precision else partial(BinaryConv2d, binarizer=binarizer)
        shortcut = make_shortcut(downsample, conv, norm_cfg)

        width = base = 16 if depth == 20 else 64
        self._pool_last = self.full_precision or stem != 'imagenet'
        self.conv1 = nn.Conv2d(in_channels, width, 3 if cifar else 7, stride=1 if cifar else 2,
                               padding=1 if cifar else 3, bias=False)
        self.bn1 = build_norm_layer(norm_cfg, width)[1]
        if stem.endswith('linear'):
            self.act = nn.Identity()
        else:
            self.act = block_type.stem_act() if stem == 'imagenet' else block_type.act(width)
        self.maxpool = nn.Identity() if cifar else MaxPool2d(3, stride=2, padding=1)
        reached, dilation = 1 if cifar else 4, 1
        for i, convs in enumerate(DEPTHS[depth]):
            channels = base * 2**i * block_type.expansion
            # The first block reads the grid of the stage before.
            stride, first_dilation = 1, dilation
            if i and reached < output_stride:
                stride, reached = 2, reached * 2
            elif i:
                dilation *= 2
            layers = []
            for j in range(convs // block_type.convs):
                fits = j > 0 or (stride == 1 and width == channels)
                layers.append(block_type(
                    width, channels, conv, norm_cfg, stride=1 if j else stride,
                    dilation=dilation if j else first_dilation,
                    shortcut=None if fits else shortcut(width, channels, stride)))
                width = channels
            self.add_module(f'layer{i + 1}', Sequential(*layers))
        self._init_convs()
        self._finish()

    def _stem(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        if self._pool_last:
            return self.maxpool(self.act(self.bn1(x)))
        # The maximum of centred values is positive (66 % of them on photographs, over 99 % on noise):
        # a norm behind the pool, as in XNOR-Net, centres what the first binary convolution gets.
        return self.act(self.bn1(self.maxpool(x)))
