from .depth_l1_loss import DepthL1Loss
from .distillation import Distillation
from .silog_loss import SiLogLoss

__all__ = ['DepthL1Loss', 'Distillation', 'SiLogLoss']
