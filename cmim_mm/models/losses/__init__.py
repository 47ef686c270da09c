from .cmim_loss import CMIMLoss
from .depth_l1_loss import DepthL1Loss
from .distillation import Distillation
from .silog_loss import SiLogLoss

__all__ = ['CMIMLoss', 'DepthL1Loss', 'Distillation', 'SiLogLoss']
