"""Embeds the tapped activations, latent and binary, as unit vectors for a contrast."""
from collections.abc import Sequence
from typing import Optional, Union

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from cmim_mm.registry import MODELS, own

from ..features import Embedded, Features
from ..hidden_prefix import hide_prefix
from ..keep_format import keep_format
from ..latents import Sides
from .embedding import Embedding

POOLINGS = ('avg', 'flatten', 'spatial')


@MODELS.register_module()
class ContrastiveMINeck(BaseModule):
    """Hands feature maps on and adds ``embeddings``, one pair of unit vectors for each tap.

    In training it takes both sides of each tap from ``latent``, pools them, and embeds each side by a linear
    map of its own (Tian et al., CRD, arXiv 1910.10699). ``CMIMHead`` contrasts them. In eval mode it does
    nothing (``inner`` aside).

    Args:
        in_channels: Channels of each tap, e.g. [512]; ``add_cmim`` reads them from the model.
        dim: Width d of the embeddings.
        pooling: 'avg' (over all positions), 'flatten' (all positions side by side; the maps must have the
            size ``grid``), or 'spatial' (each position a vector of its own).
        grid: (rows, columns): for 'flatten' the size of the maps; 'spatial' pools both maps to it,
            and without it to the coarser of the two, rows and columns each.
        trained: Whether the embeddings are trained; else they stay random and out of the optimizer.
        standardize: Whether to standardize what is embedded.
        latent: Where a_F comes from: 'SamePass', 'LaterLayer', 'SecondView', 'MovingAverage' or 'Teacher',
            with arguments.
        inner: A neck that the feature maps pass, e.g. FPN: a config, or one that was built. Its keys in
            checkpoints are those that it has without this neck around it.
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
                 latent: dict = dict(type='SamePass'),  # noqa: B006
                 inner: Union[nn.Module, dict, None] = None,
                 init_cfg: Union[dict, Sequence[dict], None] = None) -> None:
        super().__init__(init_cfg)
        if pooling not in POOLINGS:
            raise ValueError(f'ContrastiveMINeck: pooling={pooling!r} is unknown; valid are '
                             f'{", ".join(map(repr, POOLINGS))}')
        if (pooling == 'avg' and grid is not None) or (pooling == 'flatten' and grid is None):
            raise ValueError(f"ContrastiveMINeck: pooling={pooling!r} with grid={grid}; 'flatten' needs "
                             "grid=(rows, columns), the size of the maps, and 'avg' takes none")
        self.dim = dim
        self.trained = trained
        self.standardize = standardize
        self.pooling = pooling
        self.grid = None if grid is None else tuple(grid)
        self.inner = inner if inner is None or isinstance(inner, nn.Module) else MODELS.build(inner)
        hide_prefix(self, 'inner.', keep=('binary.', 'latent.', 'source.'))
        # What is drawn here leaves the other parts' random start as it is without this neck.
        with torch.random.fork_rng(devices=[]):
            self.source = MODELS.build(own(latent, 'SamePass', in_channels=in_channels))
            if self.source.moves and pooling == 'spatial':
                raise ValueError(f'ContrastiveMINeck: {type(self.source).__name__} shows another view, where '
                                 "a position is another thing; use pooling='avg' or 'flatten'")
            cells = self.grid[0] * self.grid[1] if pooling == 'flatten' else 1
            self.binary, self.latent = (
                nn.ModuleList(Embedding(c * cells, dim, standardize, trained) for c in channels)
                for channels in (self.source.binary_channels, self.source.latent_channels))

    def forward(self, feats: Sequence[Tensor]) -> Sequence[Tensor]:
        """Feature maps -> the same (those of ``inner``), in training as ``Features`` with embeddings."""
        maps = feats if self.inner is None else self.inner(feats)
        if not self.training:
            return maps
        if not getattr(feats, 'pairs', ()):
            raise ValueError('ContrastiveMINeck: the backbone recorded no latent and binary activations; set '
                             'its taps, e.g. taps=(-1,) for the last stage')
        sides = self.source(feats)
        if len(sides) != len(self.binary):
            raise ValueError(f'ContrastiveMINeck: {len(sides)} taps for {len(self.binary)} in_channels; give '
                             'one number for each')
        embeddings = [self.embed(k, *self.pool(k, pair), pair.name) for k, pair in enumerate(sides)]
        return Features.of(maps, feats, embeddings=embeddings)

    def pool(self, k: int, sides: Sides) -> tuple[Tensor, Tensor, Optional[tuple[int, int]]]:
        """Both sides of tap k, (N, C, H, W) -> (N, P, features) each, and the grid of positions."""
        grid = self.grid
        if self.pooling == 'spatial' and grid is None:
            grid = tuple(map(min, sides.binary.shape[2:], sides.latent.shape[2:]))
        latent = self._pool(sides.latent, grid, self.latent[k].features, f'latent side of {sides.name}')
        binary = self._pool(sides.binary, grid, self.binary[k].features, f'binary side of {sides.name}')
        return latent, binary, grid if self.pooling == 'spatial' else None

    def embed(self, k: int, latent: Tensor, binary: Tensor, grid: Optional[tuple[int, int]],
              name: str) -> Embedded:
        """Pooled sides of tap k, (N, P, features) each, as unit vectors (N, P, d)."""
        return Embedded(self.latent[k](latent), self.binary[k](binary), name, grid)

    def describe(self) -> dict[str, object]:
        """What the embeddings are of, for a memory that keeps them."""
        return dict(latent=type(self.source).__name__, pooling=self.pooling, grid=list(self.grid or ()),
                    trained=self.trained, standardize=self.standardize)

    def _pool(self, x: Tensor, grid: Optional[tuple[int, int]], features: int, what: str) -> Tensor:
        x, size = keep_format(x), tuple(x.shape[2:])
        if self.pooling == 'avg':
            x = x.mean((2, 3), dtype=torch.promote_types(x.dtype, torch.float32)).unsqueeze(1)
        elif self.pooling == 'flatten':
            if size != grid:
                raise ValueError(f"ContrastiveMINeck: pooling='flatten' with grid={grid}, but the {what} is "
                                 f'{size}; flattening needs images of one size')
            x = x.flatten(1).unsqueeze(1)
        else:
            if grid[0] > size[0] or grid[1] > size[1]:
                raise ValueError(f'ContrastiveMINeck: grid={grid} is finer than the {what}, which is {size}: '
                                 "cells would repeat and be each other's negatives; set a coarser grid")
            x = F.adaptive_avg_pool2d(x, grid).flatten(2).transpose(1, 2)
        if x.shape[2] != features:
            raise ValueError(f'ContrastiveMINeck: the {what} has {x.shape[2]} features, in_channels says '
                             f'{features}; set in_channels to its channels, or leave it to add_cmim')
        return x
