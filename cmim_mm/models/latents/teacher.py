"""The feature maps of a trained full-precision network stand for a_F."""
from collections.abc import Sequence
from typing import Optional, Union

from torch import nn

from cmim_mm.registry import MODELS

from ..features import Features, Pair, map_channels
from ..teacher import FrozenTeacher
from .base import LatentSource


@MODELS.register_module()
class Teacher(LatentSource):
    """Maps of a frozen teacher in place of a_F; with ``features`` maps of the encoder in place of a_B too.

    The teacher runs once a step and leaves what it says in ``Features.teacher``, for a head that distils. A
    classifier that has one (``model.teacher``) has run it already, and its maps are taken.

    Args:
        in_channels: Channels of each tap, or of the encoder's maps that ``features`` names.
        indices: Which of the teacher's maps, one for each.
        features: Numbers of the encoder's own feature maps to contrast in place of the taps' binary
            activations: the form of CMIM's public code, with (-1,) for the last.
        teacher: Config of a ``cmim_mm.FrozenTeacher``, or one that was built.

    Raises:
        ValueError: There is no teacher, or not one of its maps for each of ``in_channels``.
    """

    needs_teacher = True

    def __init__(self, in_channels: Sequence[int], indices: Sequence[int] = (-1, ),
                 features: Optional[Sequence[int]] = None,
                 teacher: Union[FrozenTeacher, dict, None] = None) -> None:
        super().__init__(in_channels)
        if teacher is None:
            raise ValueError(
                "Teacher: there is no teacher; set model.teacher=dict(checkpoint=FILE) beside type="
                "'cmim_mm.CMIM' (its network is then the model's full-precision twin)")
        self.indices = tuple(indices)
        self.features = None if features is None else tuple(features)
        if len(self.indices) != len(self.binary_channels):
            raise ValueError(f'Teacher: indices={self.indices} for {len(self.binary_channels)} taps; give '
                             "one of the teacher's maps for each")
        self.teacher = teacher if isinstance(teacher, nn.Module) else MODELS.build(teacher)
        widths = map_channels(self.teacher.model, self.teacher.extract)
        self.latent_channels = [widths[i] for i in self.indices]

    def pairs(self, feats: Features) -> Sequence[Pair]:
        if feats.teacher is None:
            feats.teacher = self.teacher(feats.inputs)
        latents = [feats.teacher.features[i] for i in self.indices]
        if self.features is None:
            return list(zip(latents, (binary for _, binary in feats.pairs)))
        return list(zip(latents, (feats[i] for i in self.features)))

    def names(self, feats: Features) -> Sequence[str]:
        return feats.tap_names if self.features is None else [f'feature{i}' for i in self.features]
