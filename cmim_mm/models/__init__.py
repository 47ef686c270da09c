from . import class_names  # noqa: F401
from .backbones import BinaryCNV, BinaryMobileNet, BinaryResNet, BinaryVGG, EfficientNetLite
from .batch_norm import BatchNorm
from .classifier import ImageClassifier
from .cls_data_preprocessor import ClsDataPreProcessor
from .cmim import add_cmim
from .contrast import contrast
from .data_preprocessor import DenseDataPreProcessor
from .dense import DepthEstimator, EncoderDecoder
from .heads import BitEntropyHead, ClsHead, CMIMHead, DepthHead, FeatureRegressionHead, LinearDepthHead
from .latents import LatentSource, LaterLayer, MovingAverage, SamePass, SecondView, Teacher
from .losses import CMIMLoss, DepthL1Loss, SiLogLoss
from .memories import Bank, InBatch, Memory, Queue
from .necks import ContrastiveMINeck, StandardizeNeck
from .teacher import FrozenTeacher
from .tta import DepthTTAModel, SegTTAModel

__all__ = [
    'Bank', 'BatchNorm', 'BinaryCNV', 'BinaryMobileNet', 'BinaryResNet', 'BinaryVGG', 'BitEntropyHead',
    'CMIMHead', 'CMIMLoss', 'ClsDataPreProcessor', 'ClsHead', 'ContrastiveMINeck',
    'DenseDataPreProcessor', 'DepthEstimator', 'DepthHead', 'DepthL1Loss', 'DepthTTAModel',
    'EfficientNetLite', 'EncoderDecoder', 'FeatureRegressionHead', 'FrozenTeacher', 'ImageClassifier',
    'InBatch', 'LaterLayer', 'LatentSource', 'LinearDepthHead', 'Memory', 'MovingAverage', 'Queue',
    'SamePass', 'SecondView', 'SegTTAModel', 'SiLogLoss', 'StandardizeNeck', 'Teacher', 'add_cmim',
    'contrast',
]
