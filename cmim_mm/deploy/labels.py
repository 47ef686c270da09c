"""Segmentation without logits at the image's size: each pixel's class alone."""
from typing import NamedTuple, Optional

import torch
from mmengine.structures import PixelData
from mmseg.models import DepthEstimator, EncoderDecoder
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.utils import resize
from mmseg.structures import SegDataSample
from mmseg.utils import SampleList
from torch import Tensor, nn

from . import ops


class _Logits(NamedTuple):
    """Logits (N, K, h, w) of images of ``size`` (H, W), the network's input with its padding."""
    maps: Tensor
    size: tuple[int, int]

    def resized(self, align_corners: bool) -> Tensor:
        if self.maps.shape[2:] == self.size:
            return self.maps
        return resize(self.maps, self.size, mode='bilinear', align_corners=align_corners, warning=False)


class _LabelsAlone:
    """Comes before an mmseg ``EncoderDecoder`` among a class's bases."""

    def inference(self, inputs: Tensor, batch_img_metas: list[dict]) -> _Logits:
        if not self._resizes_once():
            maps = super().inference(inputs, batch_img_metas)
            return _Logits(maps, maps.shape[2:])
        meta = batch_img_metas[0]  # of all, as in BaseDecodeHead.predict_by_feat
        size = meta['img_shape']
        if not isinstance(size, torch.Size) and 'pad_shape' in meta:
            size = meta['pad_shape']
        return _Logits(self._forward(inputs), tuple(size[:2]))

    def _resizes_once(self) -> bool:
        """Whether what follows the head's forward is mmseg's one resize, of a whole image."""
        head = type(self.decode_head)
        return self.test_cfg.get('mode', 'whole') == 'whole' \
            and type(self).whole_inference is EncoderDecoder.whole_inference \
            and type(self).encode_decode is EncoderDecoder.encode_decode \
            and head.predict is BaseDecodeHead.predict \
            and head.predict_by_feat is BaseDecodeHead.predict_by_feat

    def postprocess_result(self, logits: _Logits, data_samples: Optional[SampleList] = None) -> SampleList:
        finite, binary = bool(logits.maps.sum().isfinite()), logits.maps.shape[1] == 1
        if binary or not finite:
            samples = super().postprocess_result(logits.resized(self.align_corners), data_samples)
            for sample in samples if finite else ():
                del sample.seg_logits
            return samples
        if data_samples is None:
            data_samples = [SegDataSample() for _ in logits.maps]
        for i, sample in enumerate(data_samples):
            labels = self._labels(_Logits(logits.maps[i:i + 1], logits.size), sample.metainfo)
            sample.set_data(dict(pred_sem_seg=PixelData(data=labels)))
        return data_samples

    def _labels(self, logits: _Logits, meta: dict) -> Tensor:
        """(1, H, W) at the original image's size, its padding and flip undone."""
        left, right, top, bottom = meta.get('img_padding_size', meta.get('padding_size', (0, 0, 0, 0)))
        height, width = logits.size
        inner = ..., slice(top, height - bottom), slice(left, width - right)
        size = height - top - bottom, width - left - right
        shape = tuple(meta.get('ori_shape', size)[:2])
        if shape == size:  # mmseg's second resize changes nothing
            labels = ops.bilinear_labels(logits.maps, logits.size, self.align_corners)[inner]
        else:
            resized = logits.resized(self.align_corners)[inner]
            labels = ops.bilinear_labels(resized, shape, self.align_corners)
        if meta.get('flip'):
            labels = labels.flip({'horizontal': 2, 'vertical': 1}[meta['flip_direction']])
        return labels.contiguous()


def labels_alone(model: nn.Module) -> nn.Module:
    """Lets a segmentor's ``predict`` give ``pred_sem_seg`` and no ``seg_logits``; much of its time is these.

    The last resize and the argmax become one (:func:`~cmim_mm.deploy.ops.bilinear_labels`): the only resize
    where the image, less its padding, has the original's size; else, and with ``mode='slide'``, the second.
    Labels are mmsegmentation's but for pixels where two classes agree to rounding. Two things go its own way:
    one class with a threshold, and logits that are not finite, which ``seg_logits`` then shows to metrics.

    ``encode_decode`` and ``forward`` are as before. Test-time augmentation averages logits: leave them there.

    Args:
        model: An mmseg ``EncoderDecoder``, packed or not; changed in place.

    Raises:
        ValueError: It predicts something else.
    """
    if not predicts_labels(model):
        raise ValueError(f'logits=False: a {type(model).__name__} has none to leave out; only segmentors '
                         '(EncoderDecoder) have, with the inference and postprocess_result of mmsegmentation')
    kind = type(model)
    if not issubclass(kind, _LabelsAlone):
        model.__class__ = type(kind.__name__, (_LabelsAlone, kind), dict(__doc__=kind.__doc__))
    return model


def predicts_labels(model: nn.Module) -> bool:
    """Whether :func:`labels_alone` takes a model: a segmentor that makes labels of logits as mmseg does."""
    kind = type(model)
    return isinstance(model, EncoderDecoder) and not isinstance(model, DepthEstimator) and (
        issubclass(kind, _LabelsAlone) or kind.inference is EncoderDecoder.inference
        and kind.postprocess_result is EncoderDecoder.postprocess_result)
