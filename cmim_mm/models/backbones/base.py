"""What the backbones share: feature maps after each stage, frozen stages, fixed norms, named choices."""
from collections.abc import Collection, Sequence
from typing import Optional, Union

from mmengine.model import Sequential
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from cmim_mm.binarize import get_binarizer

from ..batch_norm import REFUSAL, OneValueError
from ..features import Features, Pair, Tap, find_taps
from ..keep_format import keep_format
from ..pretrained import PretrainedEncoder


class Backbone(PretrainedEncoder):
    """A stem and stages named layer1, layer2, ...; a subclass builds them, then calls ``_finish``.

    The stem is conv1, bn1 and act, in full precision.

    Args:
        num_stages: Number of stages.
        out_indices: Stages (from 0) whose feature maps are returned; None for all.
        frozen_stages: Stem (0) and stages up to this one (from 1) do not train; -1 freezes nothing.
        norm_eval: Keeps the statistics of batch norms while training.
        taps: Binary convolutions whose latent and binary input training hands on in
            :class:`~cmim_mm.models.features.Features`: a number is the last one of that stage (from 0;
            negative from the end), a string a module's name. They add no parameter, and in eval mode
            nothing is recorded.
        init_cfg: As in MMEngine's BaseModule.

    Raises:
        ValueError: An index without a stage, or a tap without a binary convolution that trains; the message
            lists the valid ones.
    """
    conv1: nn.Conv2d
    bn1: nn.Module
    act: nn.Module

    def __init__(self, num_stages: int, out_indices: Optional[Sequence[int]], frozen_stages: int,
                 norm_eval: bool, taps: Sequence[Tap], init_cfg: Union[dict, Sequence[dict], None]) -> None:
        super().__init__(init_cfg)
        self.taps = tuple(taps)
        self.tap_names: tuple[str, ...] = ()
        self.num_stages = num_stages
        self.out_indices = tuple(range(num_stages) if out_indices is None else out_indices)
        for index in self.out_indices:
            self._check('out_indices', index, range(num_stages))
        self._check('frozen_stages', frozen_stages, range(-1, num_stages + 1))
        self.frozen_stages = frozen_stages
        self.norm_eval = norm_eval

    @property
    def stages(self) -> tuple[Sequential, ...]:
        """layer1 to the last."""
        return tuple(getattr(self, f'layer{i + 1}') for i in range(self.num_stages))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """(N, in_channels, H, W) -> the chosen stages' maps, finest first; odd sizes round up.

        With ``taps``, in training mode, they come as :class:`~cmim_mm.models.features.Features`.

        Raises:
            OneValueError: One image that is too small for a batch norm that trains.
        """
        images, features = x, []
        try:
            x = self._stem(x)
            for stage in self.stages:
                x = stage(x)
                features.append(x)
        except ValueError as error:
            if not str(error).startswith(REFUSAL):
                raise
            where = f'layer{len(features) + 1}' if x is not images else 'its stem'
            raise OneValueError(type(self).__name__, where, images.shape) from error
        maps = tuple(keep_format(features[i]) for i in self.out_indices)
        if not (self.taps and self.training):
            return maps
        return Features(maps, pairs=self._take_pairs(), tap_names=self.tap_names, inputs=images, encoder=self)

    def train(self, mode: bool = True) -> 'Backbone':
        """As in nn.Module, with frozen stages, and norms under ``norm_eval``, kept in eval mode."""
        super().train(mode)
        self._freeze()
        if self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self

    def _stem(self, x: Tensor) -> Tensor:
        return self.act(self.bn1(self.conv1(x)))

    def _take_pairs(self) -> list[Pair]:
        """What the tapped convolutions recorded; they forget it, so that no graph outlives its step."""
        pairs = []
        for name in self.tap_names:
            conv = self.get_submodule(name)
            if conv.last_pair is None:
                raise ValueError(f'{type(self).__name__}: the tapped {name} is in eval mode, so it recorded '
                                 'nothing; let it train, or tap another one')
            pairs.append(conv.last_pair)
            conv.last_pair = None
        return pairs

    def set_taps(self, taps: Sequence[Tap]) -> None:
        """Records these binary convolutions, and no others, from the next training step on.

        Raises:
            ValueError: As the class.
        """
        found = find_taps(self, taps)
        for name, conv in found.items():
            if not conv.training:
                raise ValueError(f'{type(self).__name__}: taps has {name}, which lies in a frozen stage '
                                 f'(frozen_stages={self.frozen_stages}); tap a stage that trains')
        for name in self.tap_names:
            self.get_submodule(name).recording = False
        for conv in found.values():
            conv.recording = True
        self.taps, self.tap_names = tuple(taps), tuple(found)

    def _finish(self) -> None:
        """Freezes stages and sets the taps, once all layers are there."""
        self._freeze()
        self.set_taps(self.taps)

    def _freeze(self) -> None:
        if self.frozen_stages < 0:
            return
        for module in (self.conv1, self.bn1, self.act, *self.stages[:self.frozen_stages]):
            module.eval()
            module.requires_grad_(False)

    def _init_convs(self) -> None:
        for module in self.modules():
            if type(module) is nn.Conv2d:  # binary convolutions initialize themselves
                nn.init.kaiming_normal_(module.weight, mode='fan_out', nonlinearity='relu')

    def _block(self, binarizer: Union[str, dict, None], block: Optional[str],
               blocks: dict[Optional[str], type[nn.Module]], cifar: bool = False) -> type[nn.Module]:
        """The block named, or that of the binarizer's recipe; ``blocks[None]`` in full precision.

        On CIFAR the codes of IR-Net, RBNN and ReCU put a Hardtanh behind Bi-Real's sums.
        """
        if binarizer is None:
            if block is not None:
                raise ValueError(f'{type(self).__name__}: block={block!r} needs a binarizer; the '
                                 'full-precision twin (binarizer=None) has ReLU blocks only')
            return blocks[None]
        if block is None:
            block = get_binarizer(binarizer).block
            block = 'hardtanh' if cifar and block == 'bireal' else block
        self._check('block', block, [name for name in blocks if name is not None])
        return blocks[block]

    def _check(self, argument: str, value: object, valid: Collection) -> None:
        if value not in valid:
            raise ValueError(f'{type(self).__name__}: {argument}={value!r} is unknown; valid are '
                             f'{", ".join(map(str, valid))}')
