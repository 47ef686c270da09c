"""Draws what ProbeHook measured during one or several trainings, side by side."""
import io
import json
from argparse import ArgumentParser
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Optional

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from cmim_mm.atomic import write_atomically
from cmim_mm.engine.cli import ToolError, parse_args, run

#: name -> [(iteration, value), ...]
Curves = dict[str, list[tuple[int, float]]]
#: Figure of a row -> its axis.
ROWS = dict(
    bound='lower bound of\nI(a_B; a_F) (nats)', saturated='saturated\nactivations (%)',
    knn='5-NN accuracy of\nbinary features (%)', flips='signs flipped since\nthe last probe (%)')
#: Dashed lines: name -> row, label.
LEVELS = dict(ceiling=('bound', 'log N'), majority=('knn', 'largest class'))
COLOURS = ('#0072b2', '#e69f00', '#009e73', '#cc79a7', '#56b4e9', '#d55e00', '#8c6d31', '#666666')
GREY = '#777777'


def make_parser() -> ArgumentParser:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument('work_dirs', nargs='+', metavar='WORK_DIR', type=Path,
                        help='work folder of a training with default_hooks.probe; a column each')
    parser.add_argument('-o', '--out', metavar='PNG', type=Path, default=Path('probes.png'),
                        help='the picture (default: %(default)s)')
    return parser


def read_probes(work_dir: Path) -> Curves:
    """The figures of a training and of its resumed parts, without 'probe/', in the order of iterations.

    Where a resumed part repeats an iteration, the later one counts.

    Raises:
        ToolError: There are none.
    """
    found: dict[str, dict[int, float]] = defaultdict(dict)
    for log in sorted(work_dir.glob('*/vis_data/scalars.json')):
        for line in log.read_text().splitlines():
            record = json.loads(line)
            for key, value in record.items():
                if key.startswith('probe/') and value is not None:
                    found[key[len('probe/'):]][record['step']] = value
    if not found:
        raise ToolError(f'{work_dir}: no probes in */vis_data/scalars.json. Train with '
                        '--cfg-options default_hooks.probe.type=cmim_mm.ProbeHook')
    return {name: sorted(values.items()) for name, values in found.items()}


def layers_of(runs: Mapping[str, Curves]) -> list[str]:
    """Names of the layers measured in any run, in the order of their appearance."""
    return list(dict.fromkeys(name.partition('/')[2] for curves in runs.values() for name in curves
                              if name.startswith('bound')))


def draw(axes: Sequence[Axes], curves: Curves, colours: Mapping[str, str]) -> None:
    """One run: a column of panels."""
    for ax, (row, label) in zip(axes, ROWS.items()):
        for name, points in curves.items():
            kind, _, layer = name.partition('/')
            if kind == f'{row}_cmim':
                ax.plot(*zip(*points), ':', color=colours[layer], linewidth=2)
            elif kind == row and layer in colours:
                ax.plot(*zip(*points), '.-', color=colours[layer], linewidth=1.5)
            elif name == 'flips/total' and row == 'flips':
                ax.plot(*zip(*points), '.-', color='black', linewidth=2.2, zorder=3)
            elif LEVELS.get(name, ('', ''))[0] == row:
                ax.axhline(points[-1][1], color=GREY, linestyle='--', linewidth=1)
                ax.annotate(f'{LEVELS[name][1]} = {points[-1][1]:.3g}', (1, points[-1][1]), (-2, -2),
                            xycoords=('axes fraction', 'data'), textcoords='offset points', ha='right',
                            va='top', color=GREY, fontsize=8)
        ax.set_ylabel(label, fontsize=10)
        ax.label_outer()
        ax.tick_params(labelsize=8)
        ax.grid(color='#e5e5e5', linewidth=0.6)
        ax.spines[['top', 'right']].set_visible(False)
    axes[-1].set_xlabel('iteration', fontsize=10)


def plot(runs: Mapping[str, Curves]) -> Figure:
    """A row a figure, a column a run; the rows share their axis, a layer its colour."""
    layers = layers_of(runs)
    colours = {layer: COLOURS[i % len(COLOURS)] for i, layer in enumerate(layers)}
    figure = Figure(figsize=(2.2 + 3.6 * len(runs), 2 * len(ROWS) + 1.2), layout='constrained')
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(ROWS), len(runs), sharex='col', sharey='row', squeeze=False)
    for column, (name, curves) in zip(grid.T, runs.items()):
        draw(column, curves, colours)
        column[0].set_title(name, fontsize=11)
    for ax, row in zip(grid[:, 0], ROWS):
        if row != 'bound':
            ax.set_ylim(bottom=0)
    corner = figure.axes[0]
    handles = [corner.plot([], [], '.-', color=colour, label=layer)[0] for layer, colour in colours.items()]
    handles += corner.plot([], [], '.-', color='black', label='all binary weights')
    if any(name.startswith('bound_cmim/') for curves in runs.values() for name in curves):
        handles += corner.plot([], [], ':', color='black', linewidth=2, label="by CMIM's embeddings")
    figure.legend(handles=handles, loc='outside upper center', ncols=max(2, len(runs)), frameon=False,
                  fontsize=9)
    return figure


def main(argv: Optional[Sequence[str]] = None) -> None:
    args = parse_args(make_parser(), argv)
    runs = {}
    for work_dir in args.work_dirs:
        name = work_dir.resolve().name
        runs[str(work_dir) if name in runs else name] = read_probes(work_dir)
    picture = io.BytesIO()
    plot(runs).savefig(picture, format='png', dpi=100)
    write_atomically(picture.getvalue(), args.out)
    print(f'wrote {args.out}')


if __name__ == '__main__':
    run(main)
