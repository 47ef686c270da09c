"""Figures as a table's cells."""
from typing import Optional

from .statistics import Interval
from .summary import Difference, Figure


def mean_text(figure: Optional[Figure]) -> str:
    """Mean ± standard deviation, or '-'."""
    if figure is None:
        return '-'
    return f'{figure.mean:.4g}' + (f' ± {figure.std:.2g}' if figure.std is not None else '')


def difference_text(figure: Optional[Figure]) -> str:
    """Difference to the baseline with both intervals, and what it does not show."""
    if figure is None or figure.difference is None:
        return '-'
    difference = figure.difference
    return (f'{difference.mean:+.3g} {interval_text(difference.seeds)} {interval_text(difference.images)}'
            f'{verdict(difference)}')


def interval_text(interval: Optional[Interval]) -> str:
    """[low, high], or [-] where there is none."""
    return f'[{interval[0]:+.3g}, {interval[1]:+.3g}]' if interval else '[-]'


def verdict(difference: Difference) -> str:
    """What a difference does not show, to be put behind it; empty where it is shown."""
    if difference.shown:
        return ''
    if difference.seeds is None:
        return ', one seed: nothing shown'
    return ', no difference shown: not paired by images' if difference.images is None else ', holds 0'
