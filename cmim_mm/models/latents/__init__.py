from .base import LatentSource, Sides
from .moving_average import MovingAverage
from .same_pass import SamePass
from .second_view import SecondView
from .teacher import Teacher

__all__ = ['LatentSource', 'MovingAverage', 'SamePass', 'SecondView', 'Sides', 'Teacher']
