"""``LoadImageFromFile`` of every pipeline, through the one reader."""
from typing import Optional

import mmcv.transforms
import numpy as np
from mmseg.registry import TRANSFORMS

from cmim_mm.data_error import DataError
from cmim_mm.reader import read_image


class LoadImageFromFile(mmcv.transforms.LoadImageFromFile):
    """mmcv's transform that refuses by name what it would read wrong or not at all.

    Arguments as in mmcv. Where a config asks for another ``color_type`` or ``imdecode_backend`` (raw bands,
    16 bits), mmcv's own reading stays.

    Added key: ``orientation``, the image's EXIF flag, which has been carried out.

    Raises:
        DataError: See :func:`cmim_mm.reader.read_image`; with ``ignore_empty`` the sample is passed over.
    """

    def transform(self, results: dict) -> Optional[dict]:
        if (self.color_type, self.imdecode_backend, self.file_client_args) != ('color', 'cv2', None):
            return super().transform(results)
        try:
            image = read_image(results['img_path'], self.backend_args)
        except DataError:
            if self.ignore_empty:
                return None
            raise
        results['img'] = image.pixels.astype(np.float32) if self.to_float32 else image.pixels
        results['img_shape'] = results['ori_shape'] = image.pixels.shape[:2]
        results['orientation'] = image.orientation
        return results


def install() -> None:
    """Makes the name mean this class under mmseg's scope: in configs and in ``MMSegInferencer`` alike.

    mmseg's registry has no such entry of its own and would look it up in mmcv's.
    """
    TRANSFORMS.register_module(name='LoadImageFromFile', module=LoadImageFromFile, force=True)
