"""Transforms for images with labels and metric depth."""
from collections.abc import Sequence
from typing import Optional

import cv2
import numpy as np
import torch
from mmcv.transforms import BaseTransform, to_tensor
from mmcv.transforms.utils import cache_randomness
from mmengine.structures import PixelData
from mmseg.datasets.transforms import PackSegInputs

from cmim_mm.registry import TRANSFORMS

from .layout import load_depth, load_label

#: Keys of metric depth maps: float32 (H, W), metres, 0 = no measurement.
DEPTH_KEYS = ('gt_depth_map', 'gt_raw_depth_map')


@TRANSFORMS.register_module()
class LoadNYUDLabel(BaseTransform):
    """Loads a label map as class indices, 255 = ignored.

    With ``reduce_zero_label`` (the data set's) stored label k becomes k - 1 and 0 becomes 255; then
    ``label_map`` (old class -> new) is applied, where the data set has one.

    Required keys: ``ori_shape`` (so the image loads first), ``seg_map_path``; a sample without the latter,
    as in inference, passes unchanged.
    Added key: ``gt_seg_map``, uint8 (H, W), which joins ``seg_fields``.

    Raises:
        DataError: See :func:`cmim_mm.datasets.layout.load_label`.
    """

    def transform(self, results: dict) -> dict:
        if 'seg_map_path' not in results:
            return results
        stored = load_label(results['seg_map_path'], results['ori_shape'][:2], results.get('orientation', 1))
        results['gt_seg_map'] = class_table(results['reduce_zero_label'], results['label_map'])[stored]
        results.setdefault('seg_fields', []).append('gt_seg_map')
        return results


def class_table(reduce_zero_label: bool, label_map: Optional[dict]) -> np.ndarray:
    """Stored label -> class index as mmsegmentation's ``LoadAnnotations`` has it, uint8 (256,)."""
    table = np.arange(256, dtype=np.uint8)
    if reduce_zero_label:
        table = np.append(np.uint8(255), table[:-1])
        table[255] = 255
    mapped = np.arange(256)
    for old, new in (label_map or {}).items():
        mapped[old] = new
    return mapped.astype(np.uint8)[table]


@TRANSFORMS.register_module()
class LoadNYUDDepth(BaseTransform):
    """Loads 16-bit millimetres as float32 metres.

    Required keys: ``ori_shape`` (so the image loads first), ``depth_map_path``; a sample without the latter,
    as in inference, passes unchanged.
    Added keys: ``gt_depth_map``, and ``gt_raw_depth_map`` where there is a
    ``raw_depth_map_path`` (in test mode); both join ``seg_fields``, so that
    mmsegmentation's flips and crops move them with the image.

    Raises:
        DataError: See :func:`cmim_mm.datasets.layout.load_depth`.
    """

    def transform(self, results: dict) -> dict:
        for path_key, key in zip(('depth_map_path', 'raw_depth_map_path'), DEPTH_KEYS):
            if path_key in results:
                depth = load_depth(results[path_key], results['ori_shape'][:2], results.get('orientation', 1))
                results[key] = depth.astype(np.float32) / 1000
                results.setdefault('seg_fields', []).append(key)
        return results


@TRANSFORMS.register_module()
class RandomRescaleCrop(BaseTransform):
    r"""Enlarges the scene by s and crops back to the input's own size.

    Output pixel x shows the input at :math:`(x + o + 1/2) / s - 1/2`, with s
    drawn from ``ratio_range`` and o from the offsets that stay inside. The image
    is interpolated, labels and depth take the nearest pixel. Under a pinhole
    camera of unchanged focal length f, an object of size S at depth d covers
    :math:`f S / d` pixels: s times as many at depth :math:`d / s`. So depth is
    divided by s (Eigen et al., NIPS 2014, section 3.4).

    Modified keys: ``img`` and all of ``seg_fields``.

    Args:
        ratio_range: Least and largest s, at least 1.
    """

    def __init__(self, ratio_range: Sequence[float] = (1.0, 1.5)) -> None:
        low, high = ratio_range
        if not 1 <= low <= high:
            raise ValueError(f'RandomRescaleCrop: ratio_range is {ratio_range}, expected 1 <= low <= high; '
                             'a smaller image could not be cropped to its own size')
        self.ratio_range = (low, high)

    @cache_randomness
    def _window(self, height: int, width: int) -> tuple[float, float, float]:
        """(s, left, top), the offsets in pixels of the enlarged image."""
        s = np.random.uniform(*self.ratio_range)
        return s, np.random.uniform(0, (s - 1) * width), np.random.uniform(0, (s - 1) * height)

    def transform(self, results: dict) -> dict:
        height, width = results['img'].shape[:2]
        s, left, top = self._window(height, width)
        to_input = np.array([[1 / s, 0, (left + 0.5) / s - 0.5], [0, 1 / s, (top + 0.5) / s - 0.5]])

        def enlarge(array: np.ndarray, interpolation: int) -> np.ndarray:
            return cv2.warpAffine(array, to_input, (width, height), borderMode=cv2.BORDER_REPLICATE,
                                  flags=interpolation | cv2.WARP_INVERSE_MAP)

        results['img'] = enlarge(results['img'], cv2.INTER_LINEAR)
        for key in results.get('seg_fields', []):
            results[key] = enlarge(results[key], cv2.INTER_NEAREST)
            if key in DEPTH_KEYS:
                results[key] /= np.float32(s)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(ratio_range={self.ratio_range})'


@TRANSFORMS.register_module()
class PackDenseInputs(PackSegInputs):
    """mmsegmentation's ``PackSegInputs`` that also packs raw depth (1, H, W) and the sample's index.

    ``inputs`` (3, H, W) is a view of ``img`` (H, W, 3): the channels stay last in memory.
    """

    def __init__(self,
                 meta_keys: Sequence[str] = (
                     'sample_idx', 'img_path', 'seg_map_path', 'depth_map_path', 'ori_shape', 'img_shape',
                     'pad_shape', 'scale_factor', 'flip', 'flip_direction', 'reduce_zero_label')) -> None:
        super().__init__(meta_keys)

    def transform(self, results: dict) -> dict:
        packed = super().transform({key: value for key, value in results.items() if key != 'img'})
        if 'img' in results:
            image = torch.from_numpy(np.ascontiguousarray(np.atleast_3d(results['img'])))
            packed['inputs'] = image.permute(2, 0, 1)
        if 'gt_raw_depth_map' in results:
            raw = PixelData(data=to_tensor(results['gt_raw_depth_map'][None]))
            packed['data_samples'].set_data({'gt_raw_depth_map': raw})
        return packed
