"""What the values of many frames show together."""
import re

import numpy as np
import pytest

from cmim_mm.datasets.survey import Arrays, Survey

SIZE = (48, 64)


def frame(rng, scale=1.0, raw_scale=None, labels=(0, 41), brightness=256, levels=None):
    depth = rng.uniform(600, 6000, SIZE) * scale
    if levels:
        depth = np.round(depth / levels) * levels
    depth = depth.astype(np.uint16)
    return Arrays(rng.integers(0, brightness, (*SIZE, 3)).astype(np.uint8),
                  rng.integers(*labels, SIZE).astype(np.uint8), depth,
                  (depth * (raw_scale or 1.0)).astype(np.uint16))


def warnings(count=8, change=None, **kwargs):
    rng, survey = np.random.default_rng(0), Survey()
    for i in range(count):
        arrays = frame(rng, **kwargs)
        survey.add(change(arrays, i) if change else arrays)
    return survey.warnings()


def sparse(arrays, share, what):
    kept = np.random.default_rng(1).uniform(size=SIZE) < share
    return arrays._replace(**{what: getattr(arrays, what) * kept})


@pytest.mark.parametrize('scale', [0.5, 1.0, 1.5])
def test_rooms_raise_no_warning(scale):
    assert warnings(scale=scale) == []
    assert warnings(count=2, scale=scale, change=lambda arrays, i: Arrays(depth=arrays.depth)) == []


@pytest.mark.parametrize('text, options', [
    ('median depth is 19.6 m.*millimetres', dict(scale=6)),
    ('median depth is 0.545 m.*millimetres', dict(scale=1 / 6)),
    ('% of the depth lies beyond 10 m', dict(scale=6)),
    ('raw depth is 0.0999 times the depth', dict(raw_scale=0.1)),
    (r'there are \d+ distinct depths.*8-bit', dict(levels=40)),
    ('missing .0.', dict(change=lambda a, i: sparse(a, 0.1, 'depth'))),
    ('the largest label is 13', dict(labels=(0, 14))),
    ('the only label is 1', dict(labels=(0, 2))),
    ('% of the pixels have a label', dict(change=lambda a, i: sparse(a, 0.05, 'label'))),
    ('above 40 of 255', dict(brightness=41)),
    ('1 of 8 images are of one colour', dict(change=lambda a, i: a._replace(image=a.image * (i != 3)))),
])
def test_warns(text, options):
    found = [w for w in warnings(**options) if re.search(text, w)]
    assert len(found) == 1, warnings(**options)


def test_says_nothing_of_what_is_missing_in_few_frames():
    assert warnings(count=3, labels=(0, 14)) == []
    assert Survey().warnings() == []
