"""Label and depth maps as pictures."""
import numpy as np
import pytest

from cmim_mm.visualization import panels


def test_labels_take_the_palette_and_ignored_is_black():
    picture = panels.paint_labels(np.array([[0, 1, 255], [1, -1, 7]]), [[10, 20, 30], [40, 50, 60]])
    assert picture.tolist() == [[[10, 20, 30], [40, 50, 60], [0, 0, 0]], [[40, 50, 60], [0, 0, 0], [0, 0, 0]]]


def test_depth_is_monotone_in_colour_and_missing_is_black():
    depth = np.array([[0, np.nan, 1.0, 2.0, 3.0, 9.0]])
    picture = panels.paint_depth(depth, 1.0, 3.0)[0].astype(int)
    assert picture[0].tolist() == picture[1].tolist() == [0, 0, 0]
    near, far = picture[2], picture[4]
    assert near[0] > near[2] and far[2] > far[0]  # red is near, blue is far
    assert (picture[5] == far).all()  # beyond the range: its end


def test_range_is_the_first_maps():
    truth, prediction = np.array([[0, 2.0, 4.0]]), np.array([[1.0, 8.0, np.nan]])
    assert panels.depth_range(truth, prediction) == (2.0, 4.0)
    assert panels.depth_range(np.zeros((1, 3)), prediction) == (1.0, 8.0)
    assert panels.depth_range(np.zeros((1, 3))) == (0.0, 1.0)


@pytest.mark.parametrize('count', [0, 1, 12, 40])
def test_legend_holds_every_entry(count):
    colors = [[i + 1, 255 - i, 100] for i in range(count)]
    picture = panels.legend([f'class {i}' for i in range(count)], colors, 240)
    assert picture.shape[0] == 240
    there = {tuple(c) for c in picture.reshape(-1, 3)}
    assert {tuple(c) for c in colors} <= there


def test_color_bar_runs_from_far_to_near():
    bar = panels.color_bar(0.0, 5.0, 240)
    assert bar.shape[0] == 240
    column = bar[16:-16, 10].astype(int)
    assert (column[0] == panels.paint_depth(np.array([[5.0]]), 0, 5)[0, 0]).all()
    assert (column[-1] == panels.paint_depth(np.array([[1e-6]]), 0, 5)[0, 0]).all()


def test_bar_of_a_narrow_range_has_distinct_ticks(monkeypatch):
    texts = []
    monkeypatch.setattr(panels, '_write', lambda panel, text, x, y: texts.append(text))
    panels.color_bar(*panels.depth_range(np.full((2, 2), 2.0)), 240)
    assert texts[0] == '2.00 m' and texts[-1] == '2.10 m' and len(set(texts)) == 5


def test_heights_stay_where_text_is_readable():
    def fitted(*size):
        return panels.fit_height(np.zeros((*size, 3), np.uint8), smooth=False).shape[:2]
    assert fitted(64, 96) == (240, 360) and fitted(480, 640) == (480, 640)
    assert fitted(2400, 3200) == (720, 960) and fitted(4000, 1) == (720, 1)


@pytest.mark.parametrize('smooth', [False, True])
def test_scaling_makes_no_new_labels(smooth):
    colors = np.random.default_rng(0).choice(np.uint8([0, 255]), (64, 96, 1)).repeat(3, 2)
    assert (set(np.unique(panels.fit_height(colors, smooth))) == {0, 255}) is not smooth
