"""What the cells of a grid over an image show: their classes, and whether there is an image at all."""
from collections.abc import Sequence
from typing import Optional

import torch
import torch.nn.functional as F
from mmengine.structures import BaseDataElement
from torch import Tensor

#: The segmentation label of pixels that are to be ignored, unlabelled or padded.
IGNORED = 255
Grid = tuple[int, int]


def cell_labels(samples: Sequence[BaseDataElement], grid: Optional[Grid]) -> Optional[Tensor]:
    """Classes of the cells of N images, (N, rows, columns) int64, -1 where unknown or ignored.

    With ``gt_label`` the image's in every cell; with ``gt_sem_seg`` that of the pixel at each cell's centre.

    Args:
        samples: Data samples of N images.
        grid: (rows, columns); None for an image as a whole.

    Returns:
        None where the data, or an image as a whole, has no class.
    """
    if all('gt_label' in sample for sample in samples):
        labels = torch.stack([sample.gt_label for sample in samples]).view(-1, 1, 1)
        return labels.expand(-1, *(grid or (1, 1)))
    if grid is None or not all('gt_sem_seg' in sample for sample in samples):
        return None
    labels = torch.stack([
        F.interpolate(sample.gt_sem_seg.data[None].float(), grid, mode='nearest-exact')[0, 0]
        for sample in samples]).long()
    return labels.masked_fill(labels == IGNORED, -1)


def padded_cells(samples: Sequence[BaseDataElement], grid: Grid) -> Tensor:
    """(N, rows, columns), True where the pixel at a cell's centre is padding, on the CPU."""
    found = torch.zeros(len(samples), *grid, dtype=torch.bool)
    for cells, sample in zip(found, samples):
        left, right, top, bottom = sample.get('padding_size', (0, 0, 0, 0))
        if left or right or top or bottom:
            height, width = sample.pad_shape
            y, x = ((torch.arange(n) + 0.5) / n * size for n, size in zip(grid, (height, width)))
            rows, columns = (y < top) | (y >= height - bottom), (x < left) | (x >= width - right)
            cells |= rows[:, None] | columns
    return found
