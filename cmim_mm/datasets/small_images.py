"""Small images, all of them in memory."""
from collections.abc import Sequence
from typing import Optional

import numpy as np
import torch
from torch.utils.data import Dataset

from cmim_mm.data_error import DataError
from cmim_mm.reader import read_image
from cmim_mm.structures import ClsDataSample


class SmallImageDataset(Dataset):
    """N images of one size as one uint8 array, channels last; a batch of them is one indexing operation.

    Nothing is drawn at random here: crops and flips happen to whole batches on the device, in
    ``ClsDataPreProcessor``. So no worker processes are needed (``num_workers=0``).

    Args:
        images: uint8 (N, 3, H, W), RGB.
        labels: N class indices.
        classes: Names of the classes.
        num_classes: Keeps the images of the first so many classes; all by default.

    Raises:
        ValueError: ``num_classes`` is not between 1 and the number of classes.
    """

    def __init__(self, images: np.ndarray, labels: Sequence[int], classes: Sequence[str],
                 num_classes: Optional[int] = None) -> None:
        labels = np.asarray(labels, np.int64)
        if num_classes is not None:
            if not 1 <= num_classes <= len(classes):
                raise ValueError(f'{type(self).__name__}: num_classes={num_classes}, expected 1 to '
                                 f'{len(classes)}')
            kept = np.flatnonzero(labels < num_classes)
            images, labels, classes = images[kept], labels[kept], classes[:num_classes]
        channels_last = np.ascontiguousarray(images.transpose(0, 2, 3, 1))
        self.images = torch.from_numpy(channels_last).permute(0, 3, 1, 2)
        self.labels = torch.from_numpy(labels)
        self.metainfo = dict(classes=tuple(classes))

    def get_data_info(self, index: int) -> dict:
        """The record of one image."""
        return dict(sample_idx=index, gt_label=int(self.labels[index]))

    def get_batch(self, indices: Sequence[int]) -> list[dict]:
        """Images ``inputs`` (3, H, W), views of one batch, with their ``data_samples``."""
        images, labels = self.images[indices], self.labels[indices]
        return [dict(inputs=images[i], data_samples=ClsDataSample(
            metainfo=dict(sample_idx=index), gt_label=labels[i:i + 1])) for i, index in enumerate(indices)]

    #: PyTorch's loader asks for a batch by this name.
    __getitems__ = get_batch

    def __getitem__(self, index: int) -> dict:
        return self.get_batch([index])[0]

    def __len__(self) -> int:
        return len(self.labels)


def read_images(paths: Sequence[str]) -> np.ndarray:
    """Decodes files of one size into uint8 (N, 3, H, W), RGB.

    Raises:
        DataError: A file is no 8-bit image (see :func:`cmim_mm.reader.read_image`), or of another size than
            the first.
    """
    images = None
    for i, path in enumerate(paths):
        image = read_image(path).pixels
        if images is None:
            images = np.empty((len(paths), 3, *image.shape[:2]), np.uint8)
        expected = (*images.shape[2:], 3)
        if image.shape != expected:
            raise DataError(f'{path}: uint8 {image.shape}, expected uint8 {expected}. Images '
                            'kept in memory have one size; cmim_mm.ImageFolder takes others')
        images[i] = image[..., ::-1].transpose(2, 0, 1)
    return images
