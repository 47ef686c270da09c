"""Paints predictions of a test, every image or the first so many."""
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

import numpy as np
from mmengine.dist import get_dist_info, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.structures import SegDataSample

from cmim_mm.datasets.layout import write_png
from cmim_mm.reader import read_image
from cmim_mm.registry import HOOKS
from cmim_mm.visualization import DenseVisualizer


@HOOKS.register_module()
class PaintHook(Hook):
    """Writes ``out_dir/NNNN_<image>.png``, NNNN the image's place in the data set, or shows windows.

    Each rank of a distributed test writes its own images; rank 0 shows windows of its own.

    Args:
        out_dir: The folder; made if need be.
        number: How many images, the first of the data set; all by default.
        show: Whether to open a window for each.
        wait_time: Seconds that a window waits.
    """

    def __init__(self, out_dir: Optional[str] = None, number: Optional[int] = None, show: bool = False,
                 wait_time: float = 0.0) -> None:
        self.out_dir = Path(out_dir) if out_dir else None
        self.number = number
        self.show = show
        self.wait_time = wait_time

    def before_test_epoch(self, runner: Runner) -> None:
        dataset = runner.test_dataloader.dataset
        self._size = len(dataset)
        self._limit = self._size if self.number is None else min(self.number, self._size)
        self._position, self._step = get_dist_info()
        self._visualizer = DenseVisualizer()
        self._visualizer.dataset_meta = dataset.metainfo
        if self.out_dir:
            self.out_dir.mkdir(parents=True, exist_ok=True)

    def after_test_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None,
                        outputs: Optional[Sequence[SegDataSample]] = None) -> None:
        for sample in outputs or ():
            # Past the limit, or an image that a distributed sampler repeats at its end.
            if self._position < self._limit:
                self._paint(sample)
            self._position += self._step

    def after_test_epoch(self, runner: Runner, metrics: Optional[dict] = None) -> None:
        if is_main_process():
            where = f' in {self.out_dir}' if self.out_dir else ''
            print(f'{self._limit} of {self._size} images painted{where}')

    def _paint(self, sample: SegDataSample) -> None:
        image = np.ascontiguousarray(read_image(sample.img_path).pixels[..., ::-1])
        picture = self._visualizer.paint(image, sample, ['gt', 'pred'])
        name = f'{self._position:04d}_{Path(sample.img_path).stem}'
        if self.out_dir:
            write_png(str(self.out_dir / f'{name}.png'), np.ascontiguousarray(picture[..., ::-1]))
        if self.show and is_main_process():
            self._visualizer.show(picture, win_name=name, wait_time=self.wait_time)
