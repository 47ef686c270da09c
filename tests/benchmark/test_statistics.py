"""Intervals of paired differences."""
import math

import numpy as np
import pytest

from cmim_mm.benchmark.statistics import holds_zero, image_intervals, mean_and_std, seed_interval


def test_mean_and_std_of_seeds():
    assert mean_and_std([1.0, 2.0, 6.0]) == (3.0, pytest.approx(math.sqrt(7)))
    assert mean_and_std([1.0]) == (1.0, None)


def test_seed_interval_is_students():
    """Three differences: t(2) = 4.303 at 95 %."""
    low, high = seed_interval([0.5, 1.0, 1.5])
    assert (low + high) / 2 == pytest.approx(1.0)
    assert (high - low) / 2 == pytest.approx(4.302653 * 0.5 / math.sqrt(3), rel=1e-6)
    assert seed_interval([0.5]) is None


@pytest.mark.parametrize('interval, holds', [
    ((-1, 1), True), ((0, 1), True), ((0.1, 1), False), ((-1, -0.1), False), ((math.nan, math.nan), True)])
def test_holds_zero(interval, holds):
    assert holds_zero(interval) is holds


def places(values, names=None):
    return {'names': np.array(names or range(len(values))), 'places': np.array(values)}


def test_image_interval_is_that_of_the_mean_difference():
    """Top-1 differs on a tenth of 400 images: 10 points, with a standard error of 100·sqrt(0.1·0.9/400)."""
    right, wrong = places([0] * 400), places([0] * 360 + [9] * 40)
    low, high = image_intervals([(right, wrong)], resamples=4000)['accuracy/top1']
    error = 100 * math.sqrt(0.1 * 0.9 / 400)
    assert (low, high) == pytest.approx((10 - 1.96 * error, 10 + 1.96 * error), abs=0.4)


def test_resamples_are_the_same_images_for_both_and_for_all_seeds():
    """Errors on the same images cancel in every resample; differing seeds average within it."""
    hard = places([0, 9] * 50)
    assert image_intervals([(hard, hard)])['accuracy/top1'] == (0.0, 0.0)
    better, worse = places([0] * 100), places([0] * 50 + [9] * 50)
    opposite = image_intervals([(better, worse), (worse, better)])['accuracy/top1']
    assert opposite == (0.0, 0.0)


def test_resampling_is_seeded():
    pair = [(places([0] * 30), places([0, 9, 9] * 10))]
    assert image_intervals(pair) == image_intervals(pair) != image_intervals(pair, seed=1)


def test_other_images_are_refused():
    with pytest.raises(ValueError, match='different images'):
        image_intervals([(places([0, 1], ['a', 'b']), places([0, 1], ['a', 'c']))])
