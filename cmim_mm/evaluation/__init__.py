from .accuracy import TopKAccuracy
from .depth_metric import DepthEigenMetric, DepthPixelMetric
from .dump import PredictionDump

__all__ = ['DepthEigenMetric', 'DepthPixelMetric', 'PredictionDump', 'TopKAccuracy']
