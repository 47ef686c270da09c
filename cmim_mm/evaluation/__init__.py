from .accuracy import TopKAccuracy
from .depth_metric import DepthEigenMetric, DepthPixelMetric
from .dump import PredictionDump
from .iou import IoUMetric

__all__ = ['DepthEigenMetric', 'DepthPixelMetric', 'IoUMetric', 'PredictionDump', 'TopKAccuracy']
