"""What a dense head learns from its model's teacher, beside its own loss."""
from collections.abc import Sequence
from typing import Optional

from mmseg.utils import SampleList
from torch import Tensor, nn


class Distils:
    """Adds ``loss_distill`` to an mmseg head's losses where the head has ``distill``.

    Attributes:
        distill: Called with the head's prediction and the teacher's; None distils nothing.
    """
    distill: Optional[nn.Module]

    @property
    def needs_teacher(self) -> bool:
        """Whether the loss asks for a teacher's prediction."""
        return self.distill is not None

    def loss(self, inputs: Sequence[Tensor], batch_data_samples: SampleList,
             train_cfg: dict) -> dict[str, Tensor]:
        """The losses of feature maps (N, C_i, H_i, W_i)."""
        prediction = self(inputs)
        losses = self.loss_by_feat(prediction, batch_data_samples)
        if self.distill is not None:
            losses['loss_distill'] = self.distill(prediction, self.taught(inputs, prediction))
        return losses

    def taught(self, feats: Sequence[Tensor], prediction: Tensor) -> Tensor:
        """What the teacher that ran on this batch gives in place of a prediction (N, K, h, w).

        Raises:
            ValueError: None ran, or it has other classes.
        """
        if getattr(feats, 'teacher', None) is None:
            raise ValueError('distill needs a teacher, but none ran: set model.teacher=dict(checkpoint=FILE) '
                             "of a 'cmim_mm.EncoderDecoder' or 'cmim_mm.DepthEstimator'")
        found = feats.teacher.logits
        if found.shape[1] != prediction.shape[1]:
            raise ValueError(f'distill: the teacher has {found.shape[1]} classes, the model '
                             f'{prediction.shape[1]}; train the teacher on the same classes')
        return found
