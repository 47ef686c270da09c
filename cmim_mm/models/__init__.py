from .backbones import BinaryMobileNet, BinaryResNet, BinaryVGG
from .classifier import ImageClassifier
from .cls_data_preprocessor import ClsDataPreProcessor
from .data_preprocessor import DenseDataPreProcessor
from .heads import ClsHead, DepthHead
from .losses import DepthL1Loss, SiLogLoss
from .teacher import FrozenTeacher
from .tta import DepthTTAModel

__all__ = [
    'BinaryMobileNet', 'BinaryResNet', 'BinaryVGG', 'ClsDataPreProcessor',
    'ClsHead', 'DenseDataPreProcessor', 'DepthHead', 'DepthL1Loss', 'DepthTTAModel',
    'FrozenTeacher', 'ImageClassifier', 'SiLogLoss',
]
