from .cifar import CIFAR10, CIFAR100
from .cls_transforms import ColorJitter, PackClsInputs, PCALighting, RandomResizedCrop
from .image_folder import ImageFolder
from .nyud import NYUDDepthDataset, NYUDSegDataset
from .sampler import ResumableSampler
from .seeded import SeededDataset
from .transforms import LoadNYUDDepth, LoadNYUDLabel, PackDenseInputs, RandomRescaleCrop

__all__ = [
    'CIFAR10', 'CIFAR100', 'ColorJitter', 'ImageFolder', 'LoadNYUDDepth', 'LoadNYUDLabel', 'NYUDDepthDataset',
    'NYUDSegDataset', 'PCALighting', 'PackClsInputs', 'PackDenseInputs', 'RandomRescaleCrop',
    'RandomResizedCrop', 'ResumableSampler', 'SeededDataset',
]
