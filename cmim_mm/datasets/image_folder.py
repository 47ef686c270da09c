"""Images of any size in class folders: ImageNet, indoor scenes, your own."""
from collections.abc import Sequence
from typing import Optional

from mmengine.dataset import BaseDataset

from cmim_mm.registry import DATASETS

from .class_folders import scan_class_folders


@DATASETS.register_module()
class ImageFolder(BaseDataset):
    """Reads ``data_root/split/<class>/<image>`` through a pipeline.

    A record has ``img_path`` and ``gt_label``.

    Args:
        data_root: The folder with ``train`` and ``val``.
        split: 'train' or 'val'.
        classes: Names of the classes to keep, in their order; by default all of the training split,
            sorted.
        pipeline: Transforms, from loading to ``cmim_mm.PackClsInputs``.
        **kwargs: As in MMEngine's ``BaseDataset``.

    Raises:
        DataError: A folder is missing or empty.
    """

    def __init__(self,
                 data_root: str,
                 split: str = 'train',
                 classes: Optional[Sequence[str]] = None,
                 pipeline: Sequence = (),
                 **kwargs) -> None:
        self.split = split
        self.keep = classes
        super().__init__(data_root=data_root, pipeline=pipeline, **kwargs)

    def load_data_list(self) -> list[dict]:
        found = scan_class_folders(self.data_root, self.split, self.keep)
        self._metainfo['classes'] = found.classes
        return [dict(img_path=path, gt_label=label) for path, label in zip(found.paths, found.labels)]
