from .accuracy import TopKAccuracy
from .depth_metric import DepthEigenMetric, DepthPixelMetric
from .dump import PredictionDump
from .image_sums import ImageSums

__all__ = ['DepthEigenMetric', 'DepthPixelMetric', 'ImageSums', 'PredictionDump', 'TopKAccuracy']
