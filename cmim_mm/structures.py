"""What a classifier's data sample holds."""
from mmengine.structures import BaseDataElement


class ClsDataSample(BaseDataElement):
    """An image's class, true and predicted.

    Attributes:
        gt_label: (1,) int64, index of the true class.
        gt_score: (K,) float, soft label over K classes, sums to 1 (optional; a loss prefers it).
        pred_label: (1,) int64, index of the highest score.
        pred_score: (K,) float32, probabilities.

    Its metainfo carries ``sample_idx``, the image's index in its data set.
    """
