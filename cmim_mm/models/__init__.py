from .backbones import BinaryResNet
from .data_preprocessor import DenseDataPreProcessor
from .heads import DepthHead
from .losses import DepthL1Loss, SiLogLoss
from .tta import DepthTTAModel

__all__ = [
    'BinaryResNet', 'DenseDataPreProcessor', 'DepthHead', 'DepthL1Loss', 'DepthTTAModel', 'SiLogLoss',
]
