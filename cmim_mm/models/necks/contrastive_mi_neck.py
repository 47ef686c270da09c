"""Embeds the tapped activations, latent and binary, as unit vectors for a contrast."""
from collections.abc import Sequence
from typing import Optional, Union

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from cmim_mm.registry import MODELS

from ..features import Embedded, Features
from .views import MovingAverage, encode_again, second_view

POOLINGS = ('avg', 'flatten', 'spatial')
SIDES = (None, 'latent', 'binary')


class Embedding(nn.Module):
    """z = u / |u| with u = W x + b, x standardized over the batch first where asked.

    (N, P, features) -> (N, P, dim), in float32 under autocast too.

    Args:
        features: Width of x.
        dim: Width d of z.
        standardize: Subtracts x's mean over the batch and divides by its standard deviation (batch norm
            without affine): a mean vector that all images share would carry most of x's norm.
        trained: W and b are parameters; else buffers, which no optimizer sees.
    """

    def __init__(self, features: int, dim: int, standardize: bool, trained: bool) -> None:
        super().__init__()
        norm = nn.BatchNorm1d(features, affine=False, track_running_stats=False)
        self.norm = norm if standardize else nn.Identity()
        for name, value in nn.Linear(features, dim).named_parameters():
            if trained:
                self.register_parameter(name, value)
            else:
                self.register_buffer(name, value.detach())

    def forward(self, x: Tensor) -> Tensor:
        n, positions, features = x.shape
        with torch.autocast(x.device.type, enabled=False):
            x = self.norm(x.flatten(0, 1).to(self.weight.dtype))
            return F.normalize(F.linear(x, self.weight, self.bias), dim=1).view(n, positions, -1)


@MODELS.register_module()
class ContrastiveMINeck(BaseModule):
    """Hands feature maps on and adds ``embeddings``, one pair of unit vectors for each tap.

    In training it takes the pairs (latent a_F, binary a_B) that ``backbone.taps`` recorded, pools them,
    and embeds each side by a linear map of its own (Tian et al., CRD, arXiv 1910.10699). ``CMIMHead``
    contrasts them. In eval mode it does nothing (``inner`` aside).

    Args:
        in_channels: Channels of each tap's binary side, e.g. [512].
        dim: Width d of the embeddings.
        pooling: 'avg' (over all positions), 'flatten' (all positions side by side; the maps must have the
            size ``grid``), or 'spatial' (a grid of positions, each a vector of its own).
        grid: (rows, columns), for 'flatten' and 'spatial'; the latter pools a map of any size to it.
        trained: Whether the embeddings are trained; else they stay random and out of the optimizer.
        standardize: Whether to standardize what is embedded.
        detach: 'latent' or 'binary' cuts the gradient of that side into the encoder; None cuts none.
        teacher: Config of a ``cmim_mm.FrozenTeacher``; its feature maps then stand for a_F.
        teacher_indices: Which of the teacher's maps, one for each tap.
        latent_channels: Channels of the latent side where they are not ``in_channels``.
        feature_indices: Contrasts these feature maps of the encoder in place of the taps' binary
            activations, as CMIM's public code does (its last, pooled one); needs a teacher.
        two_views: Takes the latent side from another crop and flip of the same images; the encoder runs
            once more.
        latent_momentum: Takes the latent side from a moving average of the encoder with this momentum;
            it runs once more, without gradient.
        inner: Config of a neck that the feature maps pass, e.g. FPN.
        init_cfg: As in MMEngine's BaseModule.

    Raises:
        ValueError: Arguments that do not fit together, or, in training, feature maps without taps or of
            other widths or sizes than stated.
    """

    def __init__(self,
                 in_channels: Sequence[int],
                 dim: int = 128,
                 pooling: str = 'avg',
                 grid: Optional[Sequence[int]] = None,
                 trained: bool = True,
                 standardize: bool = True,
                 detach: Optional[str] = None,
                 teacher: Optional[dict] = None,
                 teacher_indices: Sequence[int] = (-1, ),
                 latent_channels: Optional[Sequence[int]] = None,
                 feature_indices: Optional[Sequence[int]] = None,
                 two_views: bool = False,
                 latent_momentum: Optional[float] = None,
                 inner: Optional[dict] = None,
                 init_cfg: Union[dict, Sequence[dict], None] = None) -> None:
        super().__init__(init_cfg)
        self._check('pooling', pooling, POOLINGS)
        self._check('detach', detach, SIDES)
        if (pooling == 'avg') is not (grid is None):
            raise ValueError(f"ContrastiveMINeck: pooling={pooling!r} with grid={grid}; 'flatten' and "
                             "'spatial' need grid=(rows, columns), 'avg' takes none")
        if two_views and pooling == 'spatial':
            raise ValueError("ContrastiveMINeck: two_views with pooling='spatial': a position shows another "
                             "thing in the other view; use pooling='avg' or 'flatten'")
        if teacher is not None and latent_momentum is not None:
            raise ValueError('ContrastiveMINeck: both teacher and latent_momentum give the latent side; '
                             'leave one of them None')
        if feature_indices is not None and teacher is None:
            raise ValueError('ContrastiveMINeck: feature_indices needs a teacher: a feature map has no '
                             'latent side of its own')
        self.in_channels = list(in_channels)
        self.pooling = pooling
        self.grid = None if grid is None else tuple(grid)
        self.detach = detach
        self.teacher_indices = tuple(teacher_indices)
        self.feature_indices = None if feature_indices is None else tuple(feature_indices)
        self.two_views = two_views
        self.inner = None if inner is None else MODELS.build(inner)
        self.average = None if latent_momentum is None else MovingAverage(latent_momentum)
        cells = self.grid[0] * self.grid[1] if pooling == 'flatten' else 1
        # What is drawn here leaves the other parts' random start as it is without this neck.
        with torch.random.fork_rng(devices=[]):
            self.teacher = None if teacher is None else MODELS.build(teacher)
            self.binary, self.latent = (
                nn.ModuleList(Embedding(c * cells, dim, standardize, trained) for c in channels)
                for channels in (self.in_channels, latent_channels or self.in_channels))

    def forward(self, feats: Sequence[Tensor]) -> Sequence[Tensor]:
        """Feature maps -> the same (those of ``inner``), in training as ``Features`` with embeddings."""
        maps = feats if self.inner is None else self.inner(feats)
        if not self.training:
            return maps
        if not getattr(feats, 'pairs', ()):
            raise ValueError('ContrastiveMINeck: the backbone recorded no latent and binary activations; set '
                             'model.backbone.taps, e.g. taps=(-1,) for the last stage')
        sides = dict(binary=self.binary_side(feats), latent=self.latent_side(feats))
        embedded = {}
        for side, activations in sides.items():
            layers = getattr(self, side)
            if len(activations) != len(layers):
                raise ValueError(f'ContrastiveMINeck: {len(activations)} {side} activations for '
                                 f'{len(layers)} in_channels; give one number for each')
            embedded[side] = [layer(self.pool(x, layer.weight.shape[1], side))
                              for layer, x in zip(layers, activations)]
        grid = self.grid if self.pooling == 'spatial' else None
        names = feats.tap_names
        if self.feature_indices is not None:
            names = [f'feature{i}' for i in self.feature_indices]
        embeddings = [Embedded(z_latent, z_binary, name, grid)
                      for z_latent, z_binary, name in zip(embedded['latent'], embedded['binary'], names)]
        return Features(maps, **{**feats.__dict__, 'embeddings': embeddings})

    def binary_side(self, feats: Features) -> list[Tensor]:
        """What is contrasted of the binary side, one (N, C, H, W) a tap."""
        if self.feature_indices is not None:
            found = [feats[i] for i in self.feature_indices]
        else:
            found = [binary for _, binary in feats.pairs]
        return [x.detach() for x in found] if self.detach == 'binary' else found

    def latent_side(self, feats: Features) -> list[Tensor]:
        """What stands for a_F, one (N, C, H, W) a tap."""
        images = second_view(feats.inputs) if self.two_views else feats.inputs
        if self.teacher is not None:
            maps = self.teacher(images).features
            return [maps[i] for i in self.teacher_indices]
        if self.average is not None:
            pairs = self.average(feats.encoder, images).pairs
        elif self.two_views:
            with torch.set_grad_enabled(self.detach != 'latent'):
                pairs = encode_again(feats.encoder, images).pairs
        else:
            pairs = feats.pairs
        return [latent.detach() if self.detach == 'latent' else latent for latent, _ in pairs]

    def pool(self, x: Tensor, features: int, side: str) -> Tensor:
        """(N, C, H, W) -> (N, P, features), float32."""
        if self.pooling == 'avg':
            x = x.mean((2, 3), dtype=torch.promote_types(x.dtype, torch.float32)).unsqueeze(1)
        elif self.pooling == 'spatial':
            x = F.adaptive_avg_pool2d(x, self.grid).flatten(2).transpose(1, 2)
        elif x.shape[2:] != self.grid:
            raise ValueError(f"ContrastiveMINeck: pooling='flatten' with grid={self.grid}, but the {side} "
                             f'activation is {tuple(x.shape[2:])}; flattening needs images of one size')
        else:
            x = x.flatten(1).unsqueeze(1)
        if x.shape[2] != features:
            argument = 'in_channels' if side == 'binary' else 'latent_channels'
            raise ValueError(f'ContrastiveMINeck: {argument} gives {features} features, but the {side} '
                             f'activation has {x.shape[2]}; set model.neck.{argument} to its channels')
        return x

    @staticmethod
    def _check(argument: str, value: object, valid: Sequence) -> None:
        if value not in valid:
            raise ValueError(f'ContrastiveMINeck: {argument}={value!r} is unknown; valid are '
                             f'{", ".join(map(repr, valid))}')
