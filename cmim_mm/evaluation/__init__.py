from .accuracy import TopKAccuracy
from .depth_metric import DepthEigenMetric, DepthPixelMetric
from .dump import PredictionDump
from .image_sums import ImageSums
from .iou import IoUMetric

__all__ = [
    'DepthEigenMetric', 'DepthPixelMetric', 'ImageSums', 'IoUMetric', 'PredictionDump', 'TopKAccuracy',
]
