"""NYU Depth v2 (Silberman et al., ECCV 2012), and anything in its layout."""
from collections.abc import Sequence
from typing import Optional

from mmseg.datasets import BaseSegDataset

from cmim_mm.registry import DATASETS

from .layout import FOLDERS, DataError, Fault, find_frames, require_data
from .nyud_meta import CLASSES, MAP_40_TO_13, PALETTE


class NYUDDataset(BaseSegDataset):
    """Frames of a folder in the layout of :mod:`cmim_mm.datasets.layout`.

    A frame carries the path of whatever there is: ``img_path``,
    ``seg_map_path``, ``depth_map_path`` and, in test mode, ``raw_depth_map_path``;
    so one data set can feed several tasks. Label 0 (unlabelled) is ignored (255).

    Args:
        data_root: The folder.
        ann_file: The list of frames, ``'train.txt'`` or ``'test.txt'``.
        data_prefix: Key of a path -> folder.
        **kwargs: As in mmsegmentation's ``BaseSegDataset``.

    Raises:
        MissingDataError: If there is no data; says how to get one.
        DataError: If the list, a folder or a listed frame is missing, or a
            frame is listed twice.
    """
    METAINFO = {'classes': CLASSES[40], 'palette': PALETTE[40]}
    #: Keys of the paths that every frame must have.
    REQUIRED: tuple[str, ...] = ('img_path', )

    def __init__(self,
                 data_root: str = 'data/nyud',
                 ann_file: str = 'train.txt',
                 data_prefix: Optional[dict] = None,
                 **kwargs) -> None:
        kwargs.setdefault('reduce_zero_label', True)
        super().__init__(
            ann_file=ann_file, data_root=data_root, data_prefix={**FOLDERS, **(data_prefix or {})}, **kwargs)

    def find_frames(self) -> tuple[list[dict[str, str]], list[Fault]]:
        """The paths of all listed frames, and what is wrong with them."""
        require_data(self.data_root)
        folders = dict(self.data_prefix)
        if not self.test_mode:
            del folders['raw_depth_map_path']
        return find_frames(self.ann_file, folders, self.REQUIRED)

    def load_data_list(self) -> list[dict]:
        frames, faults = self.find_frames()
        if faults:
            raise DataError.of(faults, self.data_root)
        common = {'label_map': self.label_map, 'reduce_zero_label': self.reduce_zero_label}
        return [dict(frame, seg_fields=[], **common) for frame in frames]


@DATASETS.register_module()
class NYUDSegDataset(NYUDDataset):
    """Semantic segmentation into 40 or 13 classes.

    Args:
        num_classes: 40, or 13 by the official map, applied when labels load.
        metainfo: As in ``BaseSegDataset``; a subset of the 40 classes works.
        **kwargs: As in :class:`NYUDDataset`.
    """
    REQUIRED = ('img_path', 'seg_map_path')

    def __init__(self, num_classes: int = 40, metainfo: Optional[dict] = None, **kwargs) -> None:
        if num_classes not in CLASSES:
            raise ValueError(f'NYUDSegDataset: num_classes is {num_classes}, expected 40 or 13')
        if num_classes == 13:
            metainfo = dict(metainfo or {}, classes=CLASSES[13], palette=PALETTE[13])
        super().__init__(metainfo=metainfo, **kwargs)

    @classmethod
    def get_label_map(cls, new_classes: Optional[Sequence] = None) -> Optional[dict[int, int]]:
        if new_classes is not None and tuple(new_classes) == CLASSES[13]:
            return {old: int(new) - 1 for old, new in enumerate(MAP_40_TO_13[1:])}
        return super().get_label_map(new_classes)


@DATASETS.register_module()
class NYUDDepthDataset(NYUDDataset):
    """Depth estimation, with or without raw depth; arguments of :class:`NYUDDataset`."""
    REQUIRED = ('img_path', 'depth_map_path')
