from .resnet import BinaryResNet

__all__ = ['BinaryResNet']
