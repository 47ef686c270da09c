from .base import LatentSource, Sides
from .later_layer import LaterLayer
from .moving_average import MovingAverage
from .same_pass import SamePass
from .second_view import SecondView
from .teacher import Teacher

__all__ = ['LaterLayer', 'LatentSource', 'MovingAverage', 'SamePass', 'SecondView', 'Sides', 'Teacher']
