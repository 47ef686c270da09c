"""mmsegmentation's models, with a teacher's slot and evaluation at any size."""
from typing import Any, Optional

import mmseg.models
from mmseg.utils import SampleList
from torch import Tensor

from cmim_mm.registry import MODELS

from .any_size import AnySize
from .taught import Taught


class TaughtDense(Taught, AnySize):
    """A dense model that may have a teacher.

    Args:
        teacher: Config of a ``cmim_mm.FrozenTeacher``, whose ``model`` is this one's full-precision twin
            unless it says another. It sees the encoder's images, or with
            ``data_preprocessor.teacher_scale`` the same ones at a scale of its own.
        kwargs: As in mmsegmentation.
    """

    def __init__(self, backbone: dict, decode_head: dict, teacher: Optional[dict] = None, **kwargs) -> None:
        twin = dict(type=f'cmim_mm.{type(self).__name__}', backbone=dict(backbone),
                    decode_head=dict(decode_head), **{k: kwargs.get(k) for k in ('neck', 'test_cfg')})
        super().__init__(backbone=backbone, decode_head=decode_head, **kwargs)
        self.set_teacher(teacher, twin)

    def forward(self, inputs: Tensor, data_samples: Optional[SampleList] = None, mode: str = 'tensor',
                teacher_inputs: Optional[Tensor] = None) -> Any:
        """As in mmsegmentation; ``teacher_inputs`` are the training images at the teacher's scale."""
        if mode == 'loss':
            return self.loss(inputs, data_samples, teacher_inputs)
        return super().forward(inputs, data_samples, mode)

    def loss(self, inputs: Tensor, data_samples: SampleList,
             teacher_inputs: Optional[Tensor] = None) -> dict[str, Tensor]:
        """Losses of the head, and of the auxiliary heads under ``aux.``."""
        if self.teacher is None:
            return super().loss(inputs, data_samples)
        feats = self.taught_feat(inputs, teacher_inputs)
        losses = self._decode_head_forward_train(feats, data_samples)
        if self.with_auxiliary_head:
            losses.update(self._auxiliary_head_forward_train(feats, data_samples))
        return losses


@MODELS.register_module()
class EncoderDecoder(TaughtDense, mmseg.models.EncoderDecoder):
    """Segmentation; arguments of mmsegmentation's ``EncoderDecoder``, and ``teacher``."""


@MODELS.register_module()
class DepthEstimator(TaughtDense, mmseg.models.DepthEstimator):
    """Depth; arguments of mmsegmentation's ``DepthEstimator``, and ``teacher``."""
