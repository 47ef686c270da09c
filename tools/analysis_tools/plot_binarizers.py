"""Draws what each binarization method computes and which gradient it gives, at three points of training."""
import io
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Callable, NamedTuple, Optional

import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

import cmim_mm  # noqa: F401  (before any import of mmsegmentation)
from cmim_mm.atomic import write_atomically
from cmim_mm.binarize import BINARIZERS, BinaryConv2d, set_progress
from cmim_mm.engine.cli import ToolError, parse_args, run

METHODS = ('BNN', 'XNORNet', 'DoReFa', 'BiReal', 'IRNet', 'RBNN', 'ReCU', 'ReActNet', 'AdaBin')
#: Elapsed fraction of training -> colour, line.
PROGRESS = {0.0: ('#56b4e9', '-'), 0.5: ('#e69f00', '--'), 1.0: ('#c0392b', '-')}
ANY = ('#222222', '-')
#: (bottom, top, ticks) of the axis of values and of the axis of gradients.
SCALES = ((-1.4, 1.4, (-1, 0, 1)), (-0.2, 2.7, (0, 1, 2)))
COLUMNS = ('weight', 'gradient of the weight', 'activation', 'gradient of the activation')
#: Values of a filter and of an image: evenly spread, 0 among them.
NUMBER, LIMIT = 201, 2.0


class Curve(NamedTuple):
    """A method as a function of one value x (all the others in place) and its derivative; all (NUMBER,)."""
    x: Tensor
    value: Tensor
    gradient: Tensor


def make_parser() -> ArgumentParser:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument('--out', metavar='DIR', default='.', help='folder for binarizers.png (default: here)')
    parser.add_argument('--methods', nargs='+', metavar='NAME', default=METHODS,
                        help=f'registered names, a row each (default: {" ".join(METHODS)})')
    return parser


def curve(function: Callable[[Tensor], Tensor]) -> Curve:
    """The diagonal of the Jacobian of a function of (n, n, 1, 1) whose rows do not see each other."""
    x = torch.linspace(-LIMIT, LIMIT, NUMBER)
    x[NUMBER // 2] = 0  # linspace misses it by a rounding
    # Every row holds all values; row i asks for the derivative with respect to its i-th.
    rows = x.expand(NUMBER, NUMBER)[..., None, None].clone().requires_grad_()
    y = function(rows)
    y.backward(torch.eye(NUMBER)[..., None, None])
    return Curve(x, y.detach()[0].flatten(), rows.grad[..., 0, 0].diagonal())


def curves(name: str, progress: float) -> tuple[Curve, Curve]:
    """Weight and activation of a method as it starts: thresholds 0, scales 1, RBNN without rotation."""
    conv = BinaryConv2d(NUMBER, NUMBER, 1, binarizer=name)
    if hasattr(conv.binarizer, 'rotate'):
        torch.nn.init.zeros_(conv.binarizer.rotate)
    set_progress(conv, progress)
    return curve(conv.binarizer.binarize_weight), curve(conv.binary_input)


def draw(axes: Sequence[Axes], name: str) -> None:
    """One method's row: values and derivatives of weight and activation; one line where nothing moves."""
    drawn = {p: curves(name, p) for p in PROGRESS}
    for i, ax in enumerate(axes):
        lines = {p: (c[i // 2].x, c[i // 2][1 + i % 2]) for p, c in drawn.items()}
        (_, first), *others = lines.values()
        if all(torch.allclose(first, other, atol=1e-5) for _, other in others):
            lines = {None: lines[0.0]}
        bottom, top, ticks = SCALES[i % 2]
        for p, (x, y) in lines.items():
            colour, style = PROGRESS.get(p, ANY)
            ax.plot(x, y, style, color=colour, linewidth=1.6)
            if y.max() > top:  # one common scale shows more than one that fits the highest peak
                ax.text(0.25, top, f'up to {y.max():.1f}', color=colour, fontsize=9, va='top')
        ax.axhline(0, color='#bbbbbb', linewidth=0.6, zorder=0)
        ax.axvline(0, color='#bbbbbb', linewidth=0.6, zorder=0)
        ax.margins(x=0.02)
        ax.set_ylim(bottom, top)
        ax.set_yticks(ticks)
        ax.tick_params(labelsize=8)
        ax.set_xticks([-2, -1, 0, 1, 2])
        ax.spines[['top', 'right']].set_visible(False)
    axes[0].set_ylabel(name, fontsize=12, fontweight='bold')


def plot(names: Sequence[str]) -> Figure:
    """A row a method, four columns: forward and gradient, of the weight and of the activation."""
    figure = Figure(figsize=(11, 1.45 * len(names) + 0.9), layout='constrained')
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(names), len(COLUMNS), sharex=True, squeeze=False)
    for axes, name in zip(grid, names):
        draw(axes, name)
    for ax, title in zip(grid[0], COLUMNS):
        ax.set_title(title, fontsize=11)
    for ax, name in zip(grid[-1], ('latent weight w', 'w', 'activation a', 'a')):
        ax.set_xlabel(name, fontsize=9)
    handles = [figure.axes[0].plot([], [], style, color=colour, label=f'p = {p:g}')[0]
               for p, (colour, style) in PROGRESS.items()]
    handles += figure.axes[0].plot([], [], ANY[1], color=ANY[0], label='at any p')
    figure.legend(handles=handles, loc='outside upper center', ncols=4, frameon=False, fontsize=10,
                  title='elapsed fraction of training')
    return figure


def main(argv: Optional[Sequence[str]] = None) -> None:
    args = parse_args(make_parser(), argv)
    unknown = [name for name in args.methods if name not in BINARIZERS.module_dict]
    if unknown:
        raise ToolError(f'--methods {" ".join(unknown)}: no such binarization method; valid names are: '
                        f'{", ".join(sorted(BINARIZERS.module_dict))}')
    out = Path(args.out) / 'binarizers.png'
    picture = io.BytesIO()
    plot(args.methods).savefig(picture, format='png', dpi=90)
    write_atomically(picture.getvalue(), out)
    print(f'wrote {out}')


if __name__ == '__main__':
    run(main)
