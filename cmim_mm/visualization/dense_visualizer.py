"""Predictions beside their ground truth, with what is needed to read them."""
from pathlib import Path
from typing import Optional

import cv2
import numpy as np
from mmengine.dist import master_only
from mmseg.structures import SegDataSample
from mmseg.visualization import SegLocalVisualizer

from cmim_mm.atomic import write_atomically
from cmim_mm.registry import VISUALIZERS

from .panels import (
    color_bar,
    depth_range,
    fit_height,
    legend,
    paint_depth,
    paint_labels,
    side_by_side,
    titled,
)


@VISUALIZERS.register_module()
class DenseVisualizer(SegLocalVisualizer):
    """Paints image | ground truth | prediction, one row a task.

    Segmentation has a legend of the classes present; depth has a bar in metres, and ground truth and
    prediction share its scale (the ground truth's range where there is one). Ignored pixels and missing
    depth are black. Arguments and use as ``SegLocalVisualizer``, whose place it takes wherever a config
    names the visualizer: in ``SegVisualizationHook`` and in ``MMSegInferencer``. (``show_result_pyplot``
    makes a ``SegLocalVisualizer`` whatever the config says.)
    """

    @master_only
    def add_datasample(self,
                       name: str,
                       image: np.ndarray,
                       data_sample: Optional[SegDataSample] = None,
                       draw_gt: bool = True,
                       draw_pred: bool = True,
                       show: bool = False,
                       wait_time: float = 0,
                       out_file: Optional[str] = None,
                       step: int = 0,
                       with_labels: Optional[bool] = True) -> None:
        """Paints a sample, shows it if asked, and writes it to ``out_file`` or else to the back ends.

        ``get_image`` returns the picture afterwards.

        Args:
            name: Under which back ends keep the picture.
            image: uint8 RGB (H, W, 3).
            data_sample: With any of gt_sem_seg, pred_sem_seg, gt_depth_map, pred_depth_map of the
                image's size.
            draw_gt: Whether to paint ground truth.
            draw_pred: Whether to paint predictions.
            show: Whether to open a window.
            wait_time: Seconds that the window waits.
            out_file: File to write, whole or not at all; its suffix says the format.
            step: Step that back ends file the picture under.
            with_labels: Whether segmentation gets its legend.

        Raises:
            ValueError: A map is not of the image's size, or class names and palette are missing.
        """
        prefixes = [p for p, wanted in (('gt', draw_gt), ('pred', draw_pred)) if wanted]
        picture = self.paint(image, data_sample, prefixes, with_labels)
        self.set_image(picture)
        if show:
            self.show(picture, win_name=name, wait_time=wait_time)
        if out_file is not None:
            encoded = cv2.imencode(Path(out_file).suffix, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1]
            write_atomically(encoded.tobytes(), out_file)
        else:
            self.add_image(name, picture, step)

    def paint(self, image: np.ndarray, sample: Optional[SegDataSample], prefixes: list,
              with_labels: bool = True) -> np.ndarray:
        """The picture of a sample, uint8 RGB."""
        labels = self._maps(image, sample, prefixes, 'sem_seg')
        depths = self._maps(image, sample, prefixes, 'depth_map')
        picture = fit_height(np.ascontiguousarray(image), smooth=True)
        first, height = titled(picture, 'image'), len(picture)
        rows = []
        if labels:
            meta = self.dataset_meta or {}
            classes, palette = meta.get('classes'), meta.get('palette')
            if not classes or not palette:
                raise ValueError('DenseVisualizer: class names and palette are missing; set dataset_meta')
            panels = [titled(fit_height(paint_labels(map_, palette), smooth=False), title)
                      for title, map_ in labels.items()]
            if with_labels:
                present = [i for i in np.unique(np.stack(list(labels.values()))) if 0 <= i < len(classes)]
                names, colors = [classes[i] for i in present], [palette[i] for i in present]
                panels.append(titled(legend(names, colors, height), ''))
            rows.append(side_by_side([first, *panels]))
        if depths:
            low, high = depth_range(*depths.values())
            panels = [titled(fit_height(paint_depth(map_, low, high), smooth=False), title)
                      for title, map_ in depths.items()]
            panels.append(titled(color_bar(low, high, height), ''))
            rows.append(side_by_side([first, *panels]))
        rows = rows or [first]
        width = max(row.shape[1] for row in rows)
        return np.vstack([np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0)), constant_values=255)
                          for row in rows])

    @staticmethod
    def _maps(image: np.ndarray, sample: Optional[SegDataSample], prefixes: list, kind: str) -> dict:
        """Title -> (H, W) array of what the sample holds of a kind."""
        titles = {'gt': 'ground truth', 'pred': 'prediction'}
        found = {}
        for prefix in prefixes:
            key = f'{prefix}_{kind}'
            if sample is not None and key in sample:
                value = sample.get(key).data.cpu().numpy().squeeze(0)
                if value.shape != image.shape[:2]:
                    raise ValueError(f'DenseVisualizer: {key} is {value.shape}, its image {image.shape[:2]}')
                found[titles[prefix]] = value
        return found
