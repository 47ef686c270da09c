"""Contrastive mutual-information maximization as an auxiliary head."""
from collections.abc import Sequence
from typing import Optional, Union

import torch
from mmengine.model import BaseModule
from mmengine.structures import BaseDataElement
from torch import Tensor, nn

from cmim_mm.registry import MODELS, own

from ..cells import cell_labels, padded_cells
from ..contrast import contrast
from ..features import Embedded
from .schedule import make_schedule

POSITIVES = ('image', 'class', 'neighbour', 'bank')
NEGATIVES = ('all', 'other_classes')


@MODELS.register_module()
class CMIMHead(BaseModule):
    r"""Adds :math:`\lambda\, s(p) \sum_k w_k (L_k^{B \to F} + L_k^{F \to B})` to the losses.

    For each tap k :func:`~cmim_mm.models.contrast.contrast` is the whole of it; the head says which image
    each anchor is of, which class, and weighs the sum. p is the elapsed fraction of training, which
    ``BinarizationProgressHook`` sets in the buffer ``progress`` before each step.

    Dense embeddings (``pooling='spatial'``) make each position an anchor: its identity is the image's and
    the position's together, its class that of the pixel at the centre of the cell. Cells whose centre is
    padding or has no label are no anchors and no negatives.

    Args:
        dim: Width d of the embeddings.
        loss: Config of the loss, one for each tap.
        memory: Config of the memory, one for each tap: 'Bank', 'Queue' or 'InBatch'.
        tap_weights: w_k, one for each tap.
        loss_weight: lambda; 0 makes a control: everything is computed and logged, and the gradient is zero.
        schedule: s(p), see :func:`~cmim_mm.models.heads.schedule.make_schedule`.
        positives: Of an anchor: 'image' (the two sides of one image), 'class' (the other side of the next
            image of the class in the batch of all ranks, of itself where there is none), 'neighbour' (that
            of another image's row in that batch, the one with the most similar latent embedding, which is
            then no negative), or 'bank' (the image's row in a bank, so that no gradient passes to that side;
            CMIM's public code).
        negatives: 'all', or 'other_classes' for images of other classes only; then no mutual information is
            bounded.
        init_cfg: As in MMEngine's BaseModule.

    Raises:
        ValueError: Arguments outside the values above, or embeddings that do not fit them.
        KeyError: In training, data samples without ``sample_idx``, or without a class where one is needed.
        RuntimeError: In training, nothing set the progress.
    """

    def __init__(self,
                 dim: int = 128,
                 loss: dict = dict(type='CMIMLoss'),  # noqa: B006
                 memory: dict = dict(type='Bank'),  # noqa: B006
                 tap_weights: Sequence[float] = (1.0, ),
                 loss_weight: float = 1.0,
                 schedule: Union[str, dict] = 'constant',
                 positives: str = 'image',
                 negatives: str = 'all',
                 init_cfg: Union[dict, Sequence[dict], None] = None) -> None:
        super().__init__(init_cfg)
        for argument, value, valid in (('positives', positives, POSITIVES),
                                       ('negatives', negatives, NEGATIVES)):
            if value not in valid:
                raise ValueError(f'CMIMHead: {argument}={value!r} is unknown; valid are {", ".join(valid)}')
        if not tap_weights or loss_weight < 0 or min(tap_weights) < 0:
            raise ValueError(f'CMIMHead: loss_weight={loss_weight}, tap_weights={list(tap_weights)}; '
                             'expected a weight for each tap, and no negative number')
        if positives == 'class' and negatives == 'all':
            raise ValueError("CMIMHead: positives='class' would draw an image to its class and drive it away "
                             "from it at once; set negatives='other_classes'")
        self.tap_weights = tuple(tap_weights)
        self.loss_weight = loss_weight
        self.schedule = make_schedule(schedule)
        self.positives = positives
        self.negatives = negatives
        self.criteria = nn.ModuleList(MODELS.build(own(loss, 'CMIMLoss')) for _ in self.tap_weights)
        self.memories = nn.ModuleList(MODELS.build(own(memory, 'Bank', dim=dim)) for _ in self.tap_weights)
        for k, memory in enumerate(self.memories):
            memory.tap = k
        if positives == 'bank' and not self.memories[0].per_image:
            raise ValueError(f"CMIMHead: positives='bank' needs memory.type='Bank', which has a row for each "
                             f'image; got {type(self.memories[0]).__name__}')
        # A function of the iteration, so not saved; -1: nothing has set it.
        self.register_buffer('progress', torch.tensor(-1.0), persistent=False)
        self._told = False

    def loss(self, feats: Sequence[Tensor], data_samples: Sequence[BaseDataElement],
             train_cfg: Optional[dict] = None) -> dict[str, Tensor]:
        """``loss_cmim``; for the log its factor and, of each tap, the objective, the mean cosine of the
        positives, and the InfoNCE bound (nats) among the batch's embeddings.

        In eval mode nothing: an empty dict.
        """
        if not self.training:
            return {}
        self._check(feats)
        weight = self.loss_weight * self.schedule(self.progress)
        total, logged = 0, {}
        for k, embedded in enumerate(feats.embeddings):
            labels = self._labels(data_samples, embedded)
            found = contrast(self.criteria[k], self.memories[k], embedded.latent, embedded.binary,
                             self._identity(data_samples, embedded), labels, self.positives, self.negatives)
            total = total + self.tap_weights[k] * found.loss
            logged.update({f'nce.{embedded.name}': found.loss.detach(),
                           f'cosine.{embedded.name}': found.cosine, f'bound.{embedded.name}': found.bound})
        return {'loss_cmim': weight * total, 'cmim_weight': weight, **logged}

    def _identity(self, samples: Sequence[BaseDataElement], embedded: Embedded) -> Tensor:
        """One number for each anchor, (N, P); -1 for cells that show nothing."""
        if not all('sample_idx' in sample for sample in samples):
            raise KeyError('CMIMHead: a data sample does not say which image it is (sample_idx); end the '
                           'train pipeline with cmim_mm.PackClsInputs or cmim_mm.PackDenseInputs, or add '
                           "'sample_idx' to the meta_keys of yours")
        identity = torch.tensor([[int(sample.sample_idx)] for sample in samples])
        if embedded.grid is None:
            return identity
        positions = embedded.grid[0] * embedded.grid[1]
        identity = identity * positions + torch.arange(positions)
        padded = padded_cells(samples, embedded.grid).flatten(1)
        if all('gt_sem_seg' in sample for sample in samples):
            unlabelled = cell_labels(samples, embedded.grid).flatten(1) < 0
            identity, padded = identity.to(unlabelled.device), padded.to(unlabelled.device) | unlabelled
        return identity.masked_fill(padded, -1)

    def _labels(self, samples: Sequence[BaseDataElement], embedded: Embedded) -> Optional[Tensor]:
        """Class of each anchor, (N, P), where classes are asked for."""
        if self.positives != 'class' and self.negatives == 'all':
            return None
        labels = cell_labels(samples, embedded.grid)
        if labels is None:
            raise KeyError("CMIMHead: positives='class' and negatives='other_classes' ask for classes, but "
                           'the data samples have no gt_label, nor gt_sem_seg with spatial embeddings. '
                           "Use positives='image' and negatives='all'")
        return labels.flatten(1)

    def _check(self, feats: Sequence[Tensor]) -> None:
        embeddings = getattr(feats, 'embeddings', ())
        if not embeddings:
            raise ValueError('CMIMHead: the feature maps come without embeddings; the neck must be a '
                             'cmim_mm.ContrastiveMINeck, and the backbone needs taps')
        if len(embeddings) != len(self.tap_weights):
            raise ValueError(f'CMIMHead: {len(self.tap_weights)} tap_weights for {len(embeddings)} taps; '
                             'give one for each')
        for memory, embedded in zip(self.memories, embeddings):
            if embedded.latent.shape[2] != memory.dim:
                raise ValueError(f'CMIMHead: the neck embeds in {embedded.latent.shape[2]} dimensions, the '
                                 f'head has dim={memory.dim}; set it to the same')
            if memory.per_image and embedded.grid is not None:
                raise ValueError("CMIMHead: a bank has one row for each image, but pooling='spatial' embeds "
                                 "positions; set memory.type to 'Queue' or 'InBatch'")
            memory.check_origin()
        if not self._told:
            if self.progress < 0:
                raise RuntimeError('CMIMHead: nothing says how far training is. A Runner does; a loop of '
                                   'your own must call set_progress(model, p), p from 0 to 1, before steps')
            self._told = True
