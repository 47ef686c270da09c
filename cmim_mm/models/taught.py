"""A model's slot for a teacher."""
from collections.abc import Sequence
from typing import Optional

from torch import Tensor, nn

from cmim_mm.registry import MODELS

from .features import Features
from .teacher import FrozenTeacher, teacher_config


class Taught:
    """Holds ``model.teacher``, and adds what it says of a training batch to the feature maps.

    The teacher sees the images once a step; ``Features.teacher`` then carries its maps and logits to all that
    read them: heads (``distill``, ``labels='teacher'``, ``cmim_mm.FeatureRegressionHead``) and CMIM. It adds
    neither parameters nor keys.
    """
    teacher: Optional[FrozenTeacher]

    def set_teacher(self, teacher: Optional[dict], model: dict) -> None:
        """Builds the teacher; without a ``model`` it is the full-precision twin of ``model``."""
        if teacher is not None:
            teacher = MODELS.build(teacher_config(teacher, model))
            teacher.take_from(self.data_preprocessor)
        self.teacher = teacher

    def init_weights(self) -> None:
        """As in MMEngine.

        Raises:
            ValueError: Nothing reads the teacher.
        """
        if self.teacher is not None and not any(getattr(m, 'needs_teacher', False) for m in self.modules()):
            raise ValueError(
                f'{type(self).__name__}: nothing reads model.teacher; set decode_head.distill=dict(), or '
                "decode_head.labels='teacher' of a classifier, contrast with it (CMIM's latent.type="
                "'Teacher'), or add a cmim_mm.FeatureRegressionHead as auxiliary_head")
        super().init_weights()

    def taught_feat(self, inputs: Tensor, teacher_inputs: Optional[Tensor] = None) -> Sequence[Tensor]:
        """Images (N, 3, H, W) -> feature maps behind the neck, with what the teacher says of them.

        Args:
            inputs: What the encoder sees.
            teacher_inputs: What the teacher sees, where that is another size.
        """
        maps = self.backbone(inputs)
        maps = Features.of(maps, maps, teacher=self.teacher(
            inputs if teacher_inputs is None else teacher_inputs))
        neck: Optional[nn.Module] = getattr(self, 'neck', None)
        if neck is None:
            return maps
        passed = neck(maps)
        return Features.of(passed, passed, teacher=maps.teacher)
