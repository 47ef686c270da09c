"""Transforms for classification from folders; flips, centre crops and resizing are mmcv's own."""
import math
from collections.abc import Sequence

import mmcv
import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness

from cmim_mm.registry import TRANSFORMS
from cmim_mm.structures import ClsDataSample


@TRANSFORMS.register_module()
class RandomResizedCrop(BaseTransform):
    """A random window, resized to a square (Szegedy et al., arXiv 1409.4842).

    Its share of the image's area is drawn uniformly from ``area_range``, its width / height
    log-uniformly from ``aspect_range``, its place uniformly. Where ten draws do not fit into the image,
    the largest centred square is taken.

    Modified keys: ``img``, ``img_shape``.

    Args:
        size: Side of the result, pixels.
        area_range: Least and largest share of the area.
        aspect_range: Least and largest width / height.
    """

    def __init__(self, size: int, area_range: Sequence[float] = (0.08, 1.0),
                 aspect_range: Sequence[float] = (3 / 4, 4 / 3)) -> None:
        if not 0 < area_range[0] <= area_range[1] <= 1 or not 0 < aspect_range[0] <= aspect_range[1]:
            raise ValueError(f'RandomResizedCrop: area_range={area_range}, aspect_range={aspect_range}; '
                             'expected 0 < low <= high, areas at most 1')
        self.size = size
        self.area_range = tuple(area_range)
        self.aspect_range = tuple(aspect_range)

    @cache_randomness
    def _window(self, height: int, width: int) -> tuple[int, int, int, int]:
        """(top, left, height, width)."""
        for _ in range(10):
            area = np.random.uniform(*self.area_range) * height * width
            aspect = math.exp(np.random.uniform(*map(math.log, self.aspect_range)))
            h, w = round(math.sqrt(area / aspect)), round(math.sqrt(area * aspect))
            if 0 < h <= height and 0 < w <= width:
                return np.random.randint(height - h + 1), np.random.randint(width - w + 1), h, w
        side = min(height, width)
        return (height - side) // 2, (width - side) // 2, side, side

    def transform(self, results: dict) -> dict:
        top, left, h, w = self._window(*results['img'].shape[:2])
        window = results['img'][top:top + h, left:left + w]
        results['img'] = mmcv.imresize(window, (self.size, self.size))
        results['img_shape'] = results['img'].shape[:2]
        return results

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(size={self.size}, area_range={self.area_range}, '
                f'aspect_range={self.aspect_range})')


@TRANSFORMS.register_module()
class ColorJitter(BaseTransform):
    """Changes brightness, contrast and saturation by factors from [max(0, 1 - x), 1 + x], in random order.

    Modified keys: ``img`` (8-bit, BGR).

    Args:
        brightness: x of the brightness.
        contrast: x of the contrast.
        saturation: x of the saturation.
    """

    def __init__(self, brightness: float = 0.4, contrast: float = 0.4, saturation: float = 0.4) -> None:
        if min(brightness, contrast, saturation) < 0:
            raise ValueError(f'ColorJitter: brightness={brightness}, contrast={contrast}, '
                             f'saturation={saturation}; expected no negative number')
        self.strengths = (brightness, contrast, saturation)

    @cache_randomness
    def _draw(self) -> list[tuple[int, float]]:
        """(which, factor) in the order of application."""
        return [(i, np.random.uniform(max(0.0, 1 - self.strengths[i]), 1 + self.strengths[i]))
                for i in np.random.permutation(3)]

    def transform(self, results: dict) -> dict:
        adjust = (mmcv.adjust_brightness, mmcv.adjust_contrast, mmcv.adjust_color)
        for i, factor in self._draw():
            results['img'] = adjust[i](results['img'], factor).astype(np.uint8)
        return results

    def __repr__(self) -> str:
        return '{}(brightness={}, contrast={}, saturation={})'.format(type(self).__name__, *self.strengths)


@TRANSFORMS.register_module()
class PCALighting(BaseTransform):
    """Adds a random multiple of each principal component of ImageNet's colours (AlexNet, sec. 4.1).

    The multiples are normal, of standard deviation ``std`` times the component's eigenvalue.

    Modified keys: ``img`` (8-bit, BGR).

    Args:
        std: Standard deviation; 0.1 in the paper and in the code of Bi-Real and ReActNet.
    """
    #: Of RGB values on the scale 0 to 255.
    EIGENVALUES = np.array([55.4625, 4.7940, 1.1475])
    EIGENVECTORS = np.array([[-0.5675, 0.7192, 0.4009],
                             [-0.5808, -0.0045, -0.8140],
                             [-0.5836, -0.6948, 0.4203]])

    def __init__(self, std: float = 0.1) -> None:
        self.std = float(std)

    def transform(self, results: dict) -> dict:
        shifted = mmcv.adjust_lighting(
            results['img'], self.EIGENVALUES, self.EIGENVECTORS[::-1], self.std, to_rgb=False)
        results['img'] = shifted.round().clip(0, 255).astype(np.uint8)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(std={self.std})'


@TRANSFORMS.register_module()
class PackClsInputs(BaseTransform):
    """Packs ``img`` (H, W, 3) as ``inputs`` uint8 (3, H, W), the label and what else is known.

    ``inputs`` is a view: the channels stay last in memory.

    Args:
        meta_keys: Keys for the data sample's metainfo, where present.
    """

    def __init__(self, meta_keys: Sequence[str] = ('sample_idx', 'img_path', 'ori_shape', 'img_shape',
                                                   'flip', 'flip_direction')) -> None:
        self.meta_keys = tuple(meta_keys)

    def transform(self, results: dict) -> dict:
        image = torch.from_numpy(np.ascontiguousarray(results['img'])).permute(2, 0, 1)
        sample = ClsDataSample(metainfo={k: results[k] for k in self.meta_keys if k in results})
        if 'gt_label' in results:
            sample.gt_label = torch.tensor([results['gt_label']])
        if 'gt_score' in results:
            sample.gt_score = torch.as_tensor(results['gt_score'], dtype=torch.float32)
        return dict(inputs=image, data_samples=sample)

    def __repr__(self) -> str:
        return f'{type(self).__name__}(meta_keys={self.meta_keys})'
