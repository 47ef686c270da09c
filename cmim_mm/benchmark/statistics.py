"""Whether one encoder is better than another: two intervals of a paired difference.

Runs are paired by their seed, which also sets the order of the data. With d_s = x_s - y_s over S seeds,

    over seeds   mean(d) ± t(S - 1) · std(d) / sqrt(S)      how it would come out for other seeds
    over images  percentiles of mean_s(x_s(I) - y_s(I)) over resamples I of the test images, the same I for
                 both of all pairs (Efron and Tibshirani 1993, ch. 13)      ... for other images

t(S - 1) is Student's quantile. Neither covers the other's source of chance, so both are named.
"""
from collections.abc import Mapping, Sequence
from typing import Optional

import numpy as np
from scipy.stats import t as student

from .figures import figures

LEVEL = 0.95
RESAMPLES = 1000
Interval = tuple[float, float]
Sums = Mapping[str, np.ndarray]


def mean_and_std(values: Sequence[float]) -> tuple[float, Optional[float]]:
    """Mean, and the unbiased standard deviation, or None of a single value."""
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None


def seed_interval(differences: Sequence[float], level: float = LEVEL) -> Optional[Interval]:
    """Student's interval of the mean of paired differences, one a seed; None with fewer than two."""
    if len(differences) < 2:
        return None
    mean, std = mean_and_std(differences)
    half = float(student.ppf((1 + level) / 2, len(differences) - 1)) * std / len(differences)**0.5
    return mean - half, mean + half


def image_intervals(pairs: Sequence[tuple[Sums, Sums]], level: float = LEVEL, resamples: int = RESAMPLES,
                    seed: int = 0) -> dict[str, Interval]:
    """Percentile intervals of the mean difference over resampled test images.

    Args:
        pairs: (x, y), one a seed: what :func:`~cmim_mm.benchmark.figures.read_sums` gave of each.
        level: Coverage.
        resamples: Number of resamples.
        seed: Of the resampling.

    Returns:
        Metric -> interval of x - y; NaN where a resample has no figure.

    Raises:
        ValueError: The runs were not tested on the same images in the same order.
    """
    names = pairs[0][0]['names']
    if any(not np.array_equal(sums['names'], names) for pair in pairs for sums in pair):
        raise ValueError('image_intervals: the runs were tested on different images')
    n = len(names)
    weights = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=resamples).astype(float)
    sampled = [(figures(x, weights), figures(y, weights)) for x, y in pairs]
    tails = [50 * (1 - level), 50 * (1 + level)]
    intervals = {}
    for metric in sampled[0][0]:
        if all(metric in found for pair in sampled for found in pair):
            differences = np.mean([x[metric] - y[metric] for x, y in sampled], axis=0)
            low, high = np.percentile(differences, tails)
            intervals[metric] = (float(low), float(high))
    return intervals


def holds_zero(interval: Interval) -> bool:
    """Whether a difference of either sign is compatible with the interval."""
    return not (interval[0] > 0 or interval[1] < 0)
