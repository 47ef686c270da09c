from .depth_l1_loss import DepthL1Loss
from .silog_loss import SiLogLoss

__all__ = ['DepthL1Loss', 'SiLogLoss']
