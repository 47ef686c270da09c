from .any_size import DepthEstimator, EncoderDecoder
from .backbones import BinaryMobileNet, BinaryResNet, BinaryVGG
from .batch_norm import BatchNorm
from .classifier import ImageClassifier
from .cls_data_preprocessor import ClsDataPreProcessor
from .data_preprocessor import DenseDataPreProcessor
from .heads import ClsHead, CMIMHead, DepthHead
from .losses import CMIMLoss, DepthL1Loss, SiLogLoss
from .memory import MemoryBank
from .necks import ContrastiveMINeck
from .teacher import FrozenTeacher
from .tta import DepthTTAModel, SegTTAModel

__all__ = [
    'BatchNorm', 'BinaryMobileNet', 'BinaryResNet', 'BinaryVGG', 'CMIMHead', 'CMIMLoss',
    'ClsDataPreProcessor', 'ClsHead', 'ContrastiveMINeck', 'DenseDataPreProcessor', 'DepthEstimator',
    'DepthHead', 'DepthL1Loss', 'DepthTTAModel', 'EncoderDecoder', 'FrozenTeacher', 'ImageClassifier',
    'MemoryBank', 'SegTTAModel', 'SiLogLoss',
]
