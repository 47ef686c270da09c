from .efficientnet_lite import EfficientNetLite
from .mobilenet import BinaryMobileNet
from .resnet import BinaryResNet
from .vgg import BinaryVGG

__all__ = ['BinaryMobileNet', 'BinaryResNet', 'BinaryVGG', 'EfficientNetLite']
