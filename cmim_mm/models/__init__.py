from .backbones import BinaryMobileNet, BinaryResNet, BinaryVGG
from .classifier import ImageClassifier
from .cls_data_preprocessor import ClsDataPreProcessor
from .data_preprocessor import DenseDataPreProcessor
from .heads import ClsHead, CMIMHead, DepthHead, LinearDepthHead
from .losses import CMIMLoss, DepthL1Loss, SiLogLoss
from .memory import MemoryBank
from .necks import ContrastiveMINeck, StandardizeNeck
from .teacher import FrozenTeacher
from .tta import DepthTTAModel

__all__ = [
    'BinaryMobileNet', 'BinaryResNet', 'BinaryVGG', 'CMIMHead', 'CMIMLoss', 'ClsDataPreProcessor',
    'ClsHead', 'ContrastiveMINeck', 'DenseDataPreProcessor', 'DepthHead', 'DepthL1Loss', 'DepthTTAModel',
    'FrozenTeacher', 'ImageClassifier', 'LinearDepthHead', 'MemoryBank', 'SiLogLoss', 'StandardizeNeck',
]
