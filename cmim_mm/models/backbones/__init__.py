from .cnv import BinaryCNV
from .efficientnet_lite import EfficientNetLite
from .mobilenet import BinaryMobileNet
from .resnet import BinaryResNet
from .vgg import BinaryVGG

__all__ = ['BinaryCNV', 'BinaryMobileNet', 'BinaryResNet', 'BinaryVGG', 'EfficientNetLite']
