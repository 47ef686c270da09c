"""Linear classifier on pooled features."""
from collections.abc import Sequence
from typing import Optional, Union

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from cmim_mm.binarize import BinaryConv2d
from cmim_mm.registry import MODELS
from cmim_mm.structures import ClsDataSample

from ..batch_norm import BatchNorm1d
from ..losses import Distillation


@MODELS.register_module()
class ClsHead(BaseModule):
    r"""Average pool of a feature map (to one value a channel), optionally batch norm, a linear layer.

    The loss is the cross-entropy :math:`-\sum_k q_k \log p_k`, where q is the soft label ``gt_score`` if
    every data sample has one, else the one-hot ``gt_label``, or with ``labels='teacher'`` the teacher's
    probabilities (the distribution loss of ReActNet, arXiv 2003.03488, eq. 4, up to the teacher's entropy);
    smoothed to :math:`(1-\epsilon) q_k + \epsilon / K` (Szegedy et al., arXiv 1512.00567).

    Args:
        num_classes: K.
        in_channels: Channels C of the feature map.
        in_index: Which feature map of the backbone or neck.
        with_norm: Puts a BatchNorm1d before the linear layer, as the CIFAR ResNets of IR-Net and RBNN.
        pool_size: Side s of the pooled map, whose C s^2 values are the linear layer's input; 4 on the 4x4 map
            of VGG-Small pools nothing, as its published classifier.
        label_smoothing: epsilon.
        labels: 'data', or 'teacher' (the model needs one).
        distill: ``dict(temperature=T, weight=w)`` adds w T^2 KL(teacher || student) of the softmax at
            temperature T (Hinton et al., arXiv 1503.02531); the model needs a teacher.
        binarizer: Name or config of one that makes the linear layer 1-bit; None leaves it in full precision.
        loss_weight: Factor of the cross-entropy.
        init_cfg: As in MMEngine's ``BaseModule``.

    Raises:
        ValueError: ``label_smoothing`` is outside [0, 1), or ``labels`` is neither of the two.
    """

    def __init__(self,
                 num_classes: int,
                 in_channels: int = 512,
                 in_index: int = -1,
                 with_norm: bool = False,
                 pool_size: int = 1,
                 label_smoothing: float = 0.0,
                 labels: str = 'data',
                 distill: Optional[dict] = None,
                 binarizer: Union[str, dict, None] = None,
                 loss_weight: float = 1.0,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        if not 0 <= label_smoothing < 1:
            raise ValueError(f'ClsHead: label_smoothing={label_smoothing}, expected 0 <= label_smoothing < 1')
        if labels not in ('data', 'teacher'):
            raise ValueError(f"ClsHead: labels={labels!r} is unknown; valid are 'data' and 'teacher'")
        self.num_classes = num_classes
        self.labels = labels
        self.in_channels = in_channels
        self.in_index = in_index
        self.label_smoothing = label_smoothing
        self.distill = None if distill is None else Distillation(**distill)
        self.loss_weight = loss_weight
        self.pool_size = pool_size
        width = in_channels * pool_size**2
        self.norm = BatchNorm1d(width) if with_norm else nn.Identity()
        self.fc = nn.Linear(width, num_classes) if binarizer is None else \
            BinaryConv2d(width, num_classes, 1, binarizer=binarizer)

    def forward(self, feats: Union[Tensor, Sequence[Tensor]]) -> Tensor:
        """Feature maps, the chosen one (N, C, H, W), -> logits (N, K)."""
        feature = feats if isinstance(feats, Tensor) else feats[self.in_index]
        if feature.shape[1] != self.in_channels:
            raise ValueError(f'ClsHead: in_channels={self.in_channels}, but feature map {self.in_index} has '
                             f'{feature.shape[1]} channels; set in_channels to it')
        x = self.norm(F.adaptive_avg_pool2d(feature, self.pool_size).flatten(1))
        return self.fc(x) if isinstance(self.fc, nn.Linear) else self.fc(x[..., None, None]).flatten(1)

    def loss(self, feats: Sequence[Tensor], data_samples: Sequence[ClsDataSample],
             train_cfg: Optional[dict] = None) -> dict[str, Tensor]:
        """``loss_cls``, ``loss_distill`` where asked and, to be logged, ``acc_top1`` of the batch in percent.

        Raises:
            KeyError: A data sample has no label.
            ValueError: A label is not one of the K classes, or a teacher is asked for that did not run.
        """
        logits = self(feats).float()
        taught = self._taught(feats)
        if self.labels == 'teacher':
            target = taught.softmax(1)
        else:
            target = self._target(data_samples).to(logits.device, non_blocking=True)
        loss = F.cross_entropy(logits, target, label_smoothing=self.label_smoothing)
        if all('gt_label' in sample for sample in data_samples):
            label = torch.cat([sample.gt_label for sample in data_samples]).to(logits.device)
        else:
            label = target.argmax(1)
        right = (logits.detach().argmax(1) == label).float().mean()
        losses = dict(loss_cls=self.loss_weight * loss, acc_top1=100 * right)
        if self.distill is not None:
            losses['loss_distill'] = self.distill(logits, taught)
        return losses

    @property
    def needs_teacher(self) -> bool:
        """Whether the loss asks for a teacher's logits."""
        return self.labels == 'teacher' or self.distill is not None

    def _taught(self, feats: Sequence[Tensor]) -> Optional[Tensor]:
        """The teacher's logits (N, K) where they are needed."""
        if not self.needs_teacher:
            return None
        if getattr(feats, 'teacher', None) is None:
            raise ValueError("ClsHead: labels='teacher' and distill need a teacher, but none ran: set "
                             "model.teacher=dict(type='cmim_mm.FrozenTeacher', checkpoint=FILE)")
        return feats.teacher.logits.float()

    def _target(self, samples: Sequence[ClsDataSample]) -> Tensor:
        """Labels (N,), or soft labels (N, K), of the data."""
        if all('gt_score' in sample for sample in samples):
            target = torch.stack([sample.gt_score for sample in samples])
            valid = target.shape[1:] == (self.num_classes, )
        else:
            if not all('gt_label' in sample for sample in samples):
                raise KeyError('ClsHead: a data sample has neither gt_label nor gt_score; use a data set '
                               'with labels, and cmim_mm.PackClsInputs at the end of a pipeline')
            target = torch.cat([sample.gt_label for sample in samples])
            valid = 0 <= int(target.min()) <= int(target.max()) < self.num_classes
        if not valid:
            raise ValueError(f'ClsHead: labels do not fit num_classes={self.num_classes}; set '
                             'model.decode_head.num_classes to the number of classes of the data')
        return target

    def predict(self, feats: Sequence[Tensor], data_samples: Sequence[ClsDataSample],
                test_cfg: Optional[dict] = None) -> list[ClsDataSample]:
        """The data samples with ``pred_score`` (K,) and ``pred_label`` (1,), on the CPU."""
        scores = self(feats).float().softmax(1).cpu()
        labels = scores.argmax(1, keepdim=True)
        for sample, score, label in zip(data_samples, scores, labels):
            sample.pred_score, sample.pred_label = score, label
        return list(data_samples)
