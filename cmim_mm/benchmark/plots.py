"""Curves and points as SVG that follows the page's text colour."""
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Optional

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .figures import METRICS
from .summary import Row, Summary

#: Of Okabe and Ito, for light and dark ground.
COLORS = ('#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#8c6bb1', '#b2912f')
_INK = '#010203'  # what becomes the page's colour
_STYLE = {'svg.fonttype': 'none', 'svg.hashsalt': 'cmim_mm', 'font.size': 9, 'axes.spines.top': False,
          'axes.spines.right': False, 'text.color': _INK, 'axes.labelcolor': _INK, 'axes.edgecolor': _INK,
          'xtick.color': _INK, 'ytick.color': _INK, 'axes.formatter.useoffset': False}


def color(encoders: Sequence[str], encoder: str) -> str:
    """Of an encoder, the same in every plot."""
    return COLORS[encoders.index(encoder) % len(COLORS)]


def title(metric: str) -> str:
    """How a metric is called."""
    return METRICS[metric].title if metric in METRICS else metric


def _svg(x: str, y: str, draw: Callable[[Axes], None]) -> str:
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(4.4, 2.9), layout='constrained')
        axes = figure.add_subplot()
        axes.grid(alpha=0.25, linewidth=0.5, color=_INK)
        draw(axes)
        axes.set(xlabel=x, ylabel=y)
        text = io.StringIO()
        figure.savefig(text, format='svg', transparent=True, metadata={'Date': None})
    svg = text.getvalue()
    return svg[svg.index('<svg'):].replace(_INK, 'currentColor')


def curves(summary: Summary, task: str, mode: str, share: int) -> Mapping[str, str]:
    """Title -> SVG: the training loss, and what was validated, the mean over seeds of each encoder."""
    encoders, rows = summary.distinct('encoder'), list(summary.cells(task, mode, share))
    names = [name for name in ('loss', *summary.metrics[task][:1])
             if any(_mean_curve(row, name) for row in rows)]

    def draw(axes: Axes, name: str) -> None:
        for row in rows:
            points = _mean_curve(row, name)
            if points:
                axes.plot(*zip(*points), color=color(encoders, row.key.encoder), linewidth=1.4,
                          marker='.' if len(points) < 15 else None)

    return {f'{"training loss" if name == "loss" else f"validation {title(name)}"}': _svg(
        'step', 'loss' if name == 'loss' else title(name), lambda axes, name=name: draw(axes, name))
        for name in names}


def _mean_curve(row: Row, name: str) -> list[tuple[int, float]]:
    found: dict[int, list[float]] = {}
    for record in row.records:
        for step, value in record.get('curves', {}).get(name, []):
            found.setdefault(step, []).append(value)
    return [(step, float(np.mean(values))) for step, values in sorted(found.items())
            if len(values) == len(row.records)]


def dots(values: Mapping[str, Sequence[float]], name: str) -> str:
    """Each row's values as dots, their mean as a bar; on white, for pages whose ground is not known."""

    def draw(axes: Axes) -> None:
        for row, found in enumerate(reversed(values.values())):
            axes.plot(found, [row] * len(found), 'o', color=COLORS[(len(values) - 1 - row) % len(COLORS)],
                      markersize=4, alpha=0.8)
            axes.plot(np.mean(found), row, '|', color=_INK, markersize=14)
        axes.set_yticks(range(len(values)), list(reversed(values)))
        axes.set_ylim(-0.6, len(values) - 0.4)

    drawn = _svg(name, '', draw)
    head, tail = drawn.split('>', 1)
    return f'{head} style="background:#fff;color:#222">{tail}'


def against_cost(summary: Summary, task: str, mode: str, share: int) -> Optional[str]:
    """The main metric over OPs; None where no cost is known."""
    metric, encoders = summary.metrics[task][0], summary.distinct('encoder')
    rows = [row for row in summary.cells(task, mode, share) if row.cost and metric in row.figures]
    if not rows:
        return None

    def draw(axes: Axes) -> None:
        for row in rows:
            figure = row.figures[metric]
            axes.errorbar(row.cost['ops'], figure.mean, figure.std or 0, fmt='o', capsize=3,
                          color=color(encoders, row.key.encoder))
        axes.set_xscale('log')
        ops = [row.cost['ops'] for row in rows]
        ticks = np.unique(np.geomspace(min(ops), max(ops), 3).round())
        axes.set_xticks(ticks, [f'{tick:.3g}' for tick in ticks])
        axes.minorticks_off()

    return _svg('OPs of one image', title(metric), draw)


def against_share(summary: Summary, task: str, mode: str) -> Optional[str]:
    """The main metric over the share of labels; None with a single share."""
    metric, encoders = summary.metrics[task][0], summary.distinct('encoder')
    shares = sorted(summary.distinct('share', task))
    if len(shares) < 2:
        return None

    def draw(axes: Axes) -> None:
        for encoder in encoders:
            rows = sorted((row for row in summary.cells(task, mode)
                           if row.key.encoder == encoder and metric in row.figures),
                          key=lambda row: row.key.share)
            if rows:
                axes.errorbar([row.key.share for row in rows], [row.figures[metric].mean for row in rows],
                              [row.figures[metric].std or 0 for row in rows], capsize=3, marker='o',
                              color=color(encoders, encoder))
        axes.set_xscale('log')
        axes.set_xticks(shares, [f'{share} %' for share in shares], minor=False)
        axes.minorticks_off()

    return _svg('share of the labels', title(metric), draw)
