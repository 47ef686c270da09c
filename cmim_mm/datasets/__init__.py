from .nyud import NYUDDepthDataset, NYUDSegDataset
from .sampler import ResumableSampler
from .seeded import SeededDataset
from .transforms import LoadNYUDDepth, LoadNYUDLabel, PackDenseInputs, RandomRescaleCrop

__all__ = [
    'LoadNYUDDepth', 'LoadNYUDLabel', 'NYUDDepthDataset', 'NYUDSegDataset', 'PackDenseInputs',
    'RandomRescaleCrop', 'ResumableSampler', 'SeededDataset',
]
