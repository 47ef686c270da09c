"""Contrastive mutual-information maximization as an auxiliary head."""
import math
from collections.abc import Sequence
from typing import Callable, Optional, Union

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmengine.structures import BaseDataElement
from torch import Tensor, nn

from cmim_mm.registry import MODELS

from ..features import Embedded

#: Factor of the loss at each elapsed fraction p of training, a 0-dimensional tensor.
SCHEDULES: dict[str, Callable[[Tensor], Tensor]] = dict(
    constant=torch.ones_like,
    linear_decay=lambda p: 1 - p,
    cosine_decay=lambda p: (1 + torch.cos(math.pi * p)) / 2,
    linear_growth=lambda p: p,
    warmup=lambda p: (10 * p).clamp(max=1),
    first_half=lambda p: (p < 0.5).to(p.dtype))
#: Anchors at most for the logged bound, whose cost is their square.
LOGGED = 512


@MODELS.register_module()
class CMIMHead(BaseModule):
    r"""Adds :math:`\lambda\, s(p) \sum_k w_k (L_k^{B \to F} + L_k^{F \to B})` to the losses.

    For each tap k, binary anchors are contrasted with latent negatives and latent anchors with binary
    ones, each half by a ``CMIMLoss`` with the negatives that a ``MemoryBank`` draws; see there. p is the
    elapsed fraction of training, kept by the tapped layers.

    Dense embeddings (``pooling='spatial'``) make each position an anchor: its identity is the image's and
    the position's together, its class that of the pixel at the centre of the cell.

    Args:
        loss: Config of the loss, one for each tap.
        memory: Config of the memory, one for each tap; ``dim`` must be the neck's.
        tap_weights: w_k, one for each tap.
        loss_weight: lambda; 0 makes a control: everything is computed and logged, and the gradient is zero.
        schedule: s(p): 'constant', 'linear_decay' (1 to 0), 'cosine_decay', 'linear_growth' (0 to 1),
            'warmup' (0 to 1 over the first tenth) or 'first_half' (1, then 0).
        positives: 'image' (the two sides of one image) or 'class' (the other side of the next image of the
            class in the batch, of itself where there is none; needs a memory with ``other_classes_only``).
        ignore_index: Of segmentation labels; such positions count as of unknown class.
        init_cfg: As in MMEngine's BaseModule.

    Raises:
        ValueError: Arguments outside the values above, or embeddings that do not fit them.
        KeyError: In training, data samples without ``sample_idx``, or without a class where one is needed.
    """

    def __init__(self,
                 loss: dict = dict(type='cmim_mm.CMIMLoss'),  # noqa: B006
                 memory: dict = dict(type='cmim_mm.MemoryBank'),  # noqa: B006
                 tap_weights: Sequence[float] = (1.0, ),
                 loss_weight: float = 1.0,
                 schedule: str = 'constant',
                 positives: str = 'image',
                 ignore_index: int = 255,
                 init_cfg: Union[dict, Sequence[dict], None] = None) -> None:
        super().__init__(init_cfg)
        for argument, value, valid in (('schedule', schedule, SCHEDULES),
                                       ('positives', positives, ('image', 'class'))):
            if value not in valid:
                raise ValueError(f'CMIMHead: {argument}={value!r} is unknown; valid are {", ".join(valid)}')
        if loss_weight < 0 or min(tap_weights) < 0:
            raise ValueError(f'CMIMHead: loss_weight={loss_weight}, tap_weights={list(tap_weights)}; '
                             'expected no negative number')
        self.tap_weights = tuple(tap_weights)
        self.loss_weight = loss_weight
        self.schedule = schedule
        self.positives = positives
        self.ignore_index = ignore_index
        self.criteria = nn.ModuleList(MODELS.build(loss) for _ in self.tap_weights)
        self.memories = nn.ModuleList(
            MODELS.build({**memory, 'seed': memory.get('seed', 0) + k}) for k in range(len(self.tap_weights)))
        if positives == 'class' and not self.memories[0].other_classes_only:
            raise ValueError("CMIMHead: positives='class' would draw an image to its class and drive it away "
                             'from it at once; set memory.other_classes_only=True')

    def loss(self, feats: Sequence[Tensor], data_samples: Sequence[BaseDataElement],
             train_cfg: Optional[dict] = None) -> dict[str, Tensor]:
        """``loss_cmim``; for the log its factor and, of each tap, the objective, the mean cosine of the
        positives, and the InfoNCE bound (nats) among the batch's embeddings.

        In eval mode nothing: an empty dict.
        """
        if not self.training:
            return {}
        self._check_embeddings(feats)
        weight = self.loss_weight * SCHEDULES[self.schedule](feats.progress)
        total, logged = 0, {}
        for k, embedded in enumerate(feats.embeddings):
            name = embedded.name
            found, cosine, bound = self._contrast(k, embedded, data_samples)
            total = total + self.tap_weights[k] * found
            logged.update({f'nce.{name}': found.detach(), f'cosine.{name}': cosine, f'bound.{name}': bound})
        return {'loss_cmim': weight * total, 'cmim_weight': weight, **logged}

    def _contrast(self, k: int, embedded: Embedded,
                  samples: Sequence[BaseDataElement]) -> tuple[Tensor, Tensor, Tensor]:
        """Objective, cosine and bound of tap k."""
        criterion, memory = self.criteria[k], self.memories[k]
        latent, binary = embedded.latent.flatten(0, 1), embedded.binary.flatten(0, 1)
        identity = self._identity(samples, embedded, memory.kind)
        labels = self._labels(samples, embedded)
        negatives = memory.draw(identity, labels, latent, binary)
        to_latent, to_binary = memory.positives(identity, latent, binary)
        if self.positives == 'class':
            partner = next_of_class(labels)
            to_latent, to_binary = to_latent[partner], to_binary[partner]
        found = (criterion(binary, to_latent, negatives.latent, negatives.mask, side=0)
                 + criterion(latent, to_binary, negatives.binary, negatives.mask, side=1))
        memory.update(identity, latent.detach(), binary.detach(), labels)
        with torch.no_grad():
            cosine = (binary * to_latent).sum(1).mean()
            bound = infonce_bound(binary[:LOGGED], latent[:LOGGED], criterion.temperature)
        return found, cosine, bound

    def _identity(self, samples: Sequence[BaseDataElement], embedded: Embedded, kind: str) -> Tensor:
        """One number for each anchor, (N * P,)."""
        if not all('sample_idx' in sample for sample in samples):
            raise KeyError('CMIMHead: a data sample does not say which image it is (sample_idx); end the '
                           'train pipeline with cmim_mm.PackClsInputs or cmim_mm.PackDenseInputs, or add '
                           "'sample_idx' to the meta_keys of yours")
        identity = torch.tensor([int(sample.sample_idx) for sample in samples])
        positions = embedded.latent.shape[1]
        if positions > 1:
            if kind == 'bank':
                raise ValueError("CMIMHead: a bank has one row for each image, but pooling='spatial' embeds "
                                 f"{positions} positions; set memory.kind to 'queue' or 'batch'")
            identity = (identity[:, None] * positions + torch.arange(positions)).flatten()
        return identity.to(embedded.latent.device, non_blocking=True)

    def _labels(self, samples: Sequence[BaseDataElement], embedded: Embedded) -> Optional[Tensor]:
        """Class of each anchor, (N * P,), -1 where it is unknown; None where no class is known."""
        device, positions = embedded.latent.device, embedded.latent.shape[1]
        if all('gt_label' in sample for sample in samples):
            labels = torch.cat([sample.gt_label for sample in samples]).to(device, non_blocking=True)
            return labels.repeat_interleave(positions)
        if embedded.grid and all('gt_sem_seg' in sample for sample in samples):
            maps = torch.stack([sample.gt_sem_seg.data for sample in samples]).to(device).float()
            labels = F.interpolate(maps, embedded.grid, mode='nearest-exact').long().flatten()
            return torch.where(labels == self.ignore_index, -1, labels)
        if self.positives == 'class' or self.memories[0].other_classes_only:
            raise KeyError('CMIMHead: classes are asked for (positives or memory.other_classes_only), but '
                           'the data samples have no gt_label, nor gt_sem_seg with spatial embeddings. Use '
                           "positives='image' and other_classes_only=False")
        return None

    def _check_embeddings(self, feats: Sequence[Tensor]) -> None:
        embeddings = getattr(feats, 'embeddings', ())
        if not embeddings:
            raise ValueError('CMIMHead: the feature maps come without embeddings; set model.neck to a '
                             'cmim_mm.ContrastiveMINeck and model.backbone.taps')
        if len(embeddings) != len(self.tap_weights):
            raise ValueError(f'CMIMHead: {len(self.tap_weights)} tap_weights for {len(embeddings)} taps; '
                             'give one for each of model.backbone.taps')
        dim = embeddings[0].latent.shape[2]
        if dim != self.memories[0].dim:
            raise ValueError(f'CMIMHead: the neck embeds in {dim} dimensions, the memory has dim='
                             f'{self.memories[0].dim}; set model.auxiliary_head.memory.dim={dim}')


def next_of_class(labels: Tensor) -> Tensor:
    """For each of N labels the index of the next equal one, cyclically; its own where there is none.

    Unknown labels (negative) get their own.
    """
    order = labels.argsort(stable=True)
    ordered, place = labels[order], torch.arange(len(labels), device=labels.device)
    first = torch.searchsorted(ordered, ordered)
    last = torch.searchsorted(ordered, ordered, right=True) - 1
    following = torch.where(place == last, first, place + 1)
    following = torch.where(ordered < 0, place, following)
    return torch.empty_like(order).scatter_(0, order, order[following])


def infonce_bound(binary: Tensor, latent: Tensor, temperature: float) -> Tensor:
    """log N - InfoNCE of N pairs of unit vectors (N, d), in nats; at most log N."""
    scores = binary @ latent.T / temperature
    return scores.diagonal().mean() - scores.logsumexp(1).mean() + math.log(len(scores))
