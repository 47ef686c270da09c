"""mmsegmentation's heads with a loss at the labels' size that costs less than the backbone."""
from collections.abc import Sequence
from typing import Optional

import torch
from mmseg.models import decode_heads, losses
from mmseg.utils import SampleList
from torch import Tensor, nn
from torch.nn import functional as F

from cmim_mm.registry import MODELS

from ..losses import Distillation
from ..losses.label_size import upsampled_cross_entropy
from .distils import Distils
from .resized_sum import ResizedSum


class LabelSizeLoss(Distils):
    """Puts :func:`upsampled_cross_entropy` in place of what an mmseg head does at its labels' size.

    That is upsampling, cross-entropy and the accuracy's topk of a whole batch. The values are mmseg's, in
    float32 also under mixed precision; in ``acc_seg`` a tie counts as right. Other losses than one plain
    ``CrossEntropyLoss`` (class weights, sigmoid, several losses), pixel samplers and compilers get mmseg's.

    Args:
        distill: ``dict(temperature=T, weight=w)`` adds :class:`~cmim_mm.models.losses.Distillation` of the
            teacher's logits at each position of the head's; the model needs a teacher of the same classes.
        kwargs: As in mmseg.
    """

    def __init__(self, *args, distill: Optional[dict] = None, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.distill = None if distill is None else Distillation(**distill)

    def loss_by_feat(self, seg_logits: Tensor, batch_data_samples: SampleList) -> dict[str, Tensor]:
        """The loss by its name and ``acc_seg`` in percent, of logits (N, K, h, w)."""
        loss = self.loss_decode
        if self.sampler is not None or not _is_plain(loss) or torch.compiler.is_compiling():
            return super().loss_by_feat(seg_logits, batch_data_samples)
        labels = self._stack_batch_gt(batch_data_samples).squeeze(1)
        total, correct = upsampled_cross_entropy(seg_logits, labels, self.ignore_index, self.align_corners)
        labelled = (labels != self.ignore_index).sum()
        count = labelled if loss.avg_non_ignore else labels.numel()
        eps = torch.finfo(torch.float32).eps  # of a batch without labels too
        return {loss.loss_name: loss.loss_weight * total / (count + eps),
                'acc_seg': 100 * (correct + eps) / (labelled + eps)}


def _is_plain(loss: object) -> bool:
    return (type(loss) is losses.CrossEntropyLoss and not (loss.use_sigmoid or loss.use_mask)
            and loss.class_weight is None and loss.reduction == 'mean')


class PartConv2d(nn.Conv2d):
    """A 1x1 convolution of concatenated maps, for one of them at a time; to be summed, and the bias added.

    (N, C_i, H, W) -> (N, O, H, W), ``first`` being the map's first channel among all.
    """

    def forward(self, x: Tensor, first: int = 0) -> Tensor:
        return F.conv2d(x, self.weight[:, first:first + x.shape[1]])


@MODELS.register_module()
class SegformerHead(LabelSizeLoss, decode_heads.SegformerHead):
    """mmseg's, which fuses before it upsamples: fusion(concat(up(x_i))) = sum of up(fusion_i(x_i)).

    Equal to rounding, as upsampling and the 1x1 fusion convolution are linear; the convolution runs at each
    map's own size, and nothing is concatenated. Same parameters and arguments.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        conv = self.fusion_conv.conv
        self.fusion_conv.conv = PartConv2d(conv.in_channels, conv.out_channels, 1, bias=conv.bias is not None)
        self.fusion_conv.init_weights()
        self.resized_sum = ResizedSum(self.interpolate_mode, self.align_corners)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Feature maps (N, C_i, H_i, W_i), finest first -> logits (N, K, H_0, W_0)."""
        fusion, inputs = self.fusion_conv, self._transform_inputs(inputs)
        maps = [fusion.conv(conv(x), i * self.channels)
                for i, (x, conv) in enumerate(zip(inputs, self.convs))]
        fused = self.resized_sum(maps, fusion.conv.bias)
        if fusion.with_norm:
            fused = fusion.norm(fused)
        return self.cls_seg(fusion.activate(fused) if fusion.with_activation else fused)


@MODELS.register_module()
class FCNHead(LabelSizeLoss, decode_heads.FCNHead):
    """mmseg's, with :class:`LabelSizeLoss`."""


@MODELS.register_module()
class ASPPHead(LabelSizeLoss, decode_heads.ASPPHead):
    """mmseg's, with :class:`LabelSizeLoss`."""


@MODELS.register_module()
class DepthwiseSeparableASPPHead(LabelSizeLoss, decode_heads.DepthwiseSeparableASPPHead):
    """mmseg's, with :class:`LabelSizeLoss`."""


@MODELS.register_module()
class UPerHead(LabelSizeLoss, decode_heads.UPerHead):
    """mmseg's, with :class:`LabelSizeLoss`."""
