"""An image classifier in the slots of a segmentor."""
from collections.abc import Sequence
from typing import Optional, Union

from mmengine.model import BaseModel
from torch import Tensor, nn

from cmim_mm.registry import MODELS
from cmim_mm.structures import ClsDataSample

from .pretrained import PretrainedEncoder
from .taught import Taught


@MODELS.register_module()
class ImageClassifier(Taught, PretrainedEncoder, BaseModel):
    """Backbone, neck, head, with mmsegmentation's names of the parts.

    What is written for the slots of a segmentor therefore fits a classifier, and a trained backbone
    leaves it by ``init_cfg=dict(type='Pretrained', checkpoint=..., prefix='backbone.')``.

    Args:
        backbone: Config of the backbone; gives a tuple of feature maps.
        decode_head: Config of the head, e.g. ``cmim_mm.ClsHead``; None for an encoder that is trained without
            labels, by its auxiliary heads alone.
        neck: Config of what stands between them.
        auxiliary_head: Config, or list of configs, of heads that only add losses
            (``loss(feats, data_samples, train_cfg)``).
        teacher: Config of a ``cmim_mm.FrozenTeacher``, whose ``model`` is this one's full-precision twin
            unless it says another. In training it sees the same normalized images, once a step; what it says
            goes along with the feature maps (``Features.teacher``), for a head (``labels='teacher'``,
            ``distill``) and for CMIM. It adds neither parameters nor keys.
        data_preprocessor: Config, e.g. of ``cmim_mm.ClsDataPreProcessor``.
        train_cfg: Handed to the heads' ``loss``.
        test_cfg: Handed to the head's ``predict``.
        init_cfg: As in MMEngine's ``BaseModel``; a checkpoint of type 'Pretrained' must fit to the last key.

    Raises:
        ValueError: In ``init_weights``: nothing reads the teacher.
    """

    def __init__(self,
                 backbone: dict,
                 decode_head: Optional[dict],
                 neck: Optional[dict] = None,
                 auxiliary_head: Union[dict, Sequence[dict], None] = None,
                 teacher: Optional[dict] = None,
                 data_preprocessor: Optional[dict] = None,
                 train_cfg: Optional[dict] = None,
                 test_cfg: Optional[dict] = None,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(data_preprocessor, init_cfg)
        self.backbone = MODELS.build(backbone)
        self.neck = None if neck is None else MODELS.build(neck)
        self.decode_head = None if decode_head is None else MODELS.build(decode_head)
        if isinstance(auxiliary_head, Sequence):
            self.auxiliary_head = nn.ModuleList(MODELS.build(head) for head in auxiliary_head)
        else:
            self.auxiliary_head = None if auxiliary_head is None else MODELS.build(auxiliary_head)
        self.set_teacher(teacher, dict(
            type='cmim_mm.ImageClassifier', backbone=backbone, decode_head=decode_head, neck=neck))
        self.train_cfg = train_cfg
        self.test_cfg = test_cfg

    def extract_feat(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Images (N, 3, H, W) -> feature maps of the neck, or of the backbone where there is none."""
        if self.training and self.teacher is not None:
            return self.taught_feat(inputs)
        feats = self.backbone(inputs)
        return feats if self.neck is None else self.neck(feats)

    def forward(self, inputs: Tensor, data_samples: Optional[list[ClsDataSample]] = None,
                mode: str = 'tensor') -> Union[dict[str, Tensor], list[ClsDataSample], Tensor]:
        """In mode 'loss' the losses, in 'predict' the filled data samples, in 'tensor' logits (N, K).

        Without a head, 'tensor' gives the feature maps.

        Raises:
            ValueError: An unknown mode.
        """
        if mode == 'loss':
            return self.loss(inputs, data_samples)
        if mode == 'predict':
            return self.predict(inputs, data_samples)
        if mode == 'tensor':
            feats = self.extract_feat(inputs)
            return feats if self.decode_head is None else self.decode_head(feats)
        raise ValueError(f"ImageClassifier: mode={mode!r}, expected 'loss', 'predict' or 'tensor'")

    def loss(self, inputs: Tensor, data_samples: list[ClsDataSample]) -> dict[str, Tensor]:
        """Losses of the head, and of the auxiliary heads under ``aux.`` (``aux_0.``, ... of a list)."""
        feats = self.extract_feat(inputs)
        losses = dict(self.decode_head.loss(feats, data_samples, self.train_cfg)) if self.decode_head else {}
        for prefix, head in self._auxiliary_heads().items():
            found = head.loss(feats, data_samples, self.train_cfg)
            losses.update({f'{prefix}.{name}': value for name, value in found.items()})
        return losses

    def _auxiliary_heads(self) -> dict[str, nn.Module]:
        if isinstance(self.auxiliary_head, nn.ModuleList):
            return {f'aux_{i}': head for i, head in enumerate(self.auxiliary_head)}
        return {} if self.auxiliary_head is None else {'aux': self.auxiliary_head}

    def predict(self, inputs: Tensor,
                data_samples: Optional[list[ClsDataSample]] = None) -> list[ClsDataSample]:
        """Data samples with ``pred_score`` and ``pred_label``; new ones where none are given."""
        if data_samples is None:
            data_samples = [ClsDataSample() for _ in inputs]
        return self.decode_head.predict(self.extract_feat(inputs), data_samples, self.test_cfg)
