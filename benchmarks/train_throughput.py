"""Images per second, memory and share of time of trainings, side by side and beside the machine's limit.

Each case is a config, trained by its own Runner with all hooks on one fixed batch of random images. Its forms
are float32 with channels first, float32 with channels last, and bfloat16 with channels last, then the
full-precision twin in the last two; with --before, the same config in another checkout comes first, as it
stands there; with --compiled, bfloat16 compiled by inductor comes after bfloat16. Every form runs in a
process of its own:

    git worktree add ../before COMMIT
    python benchmarks/train_throughput.py --before ../before

Images per second are those of the fastest step; CPU is the least processor time of a step, which other load
changes less. The limit beside it is the step's convolutions alone, at the rate that one 3x3 convolution,
forward and backward, reaches in that type with channels last (on a GPU by the clock). Memory is the peak
during a step as in train_step.py. 'first' is the first step by the clock, compiling included; what is
compiled is not taken apart, so of it the times alone are known.
"""
import json
import os
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import torch
from mmengine.config import Config

import cmim_mm  # noqa: F401  (before any import of mmsegmentation)
from cmim_mm.engine.cli import ToolError, format_table, parse_args, run

try:
    from benchmarks.measured_training import KINDS, Case, Form, measure
    from benchmarks.train_step import machine
except ImportError:  # run as a script: its own folder is on the path
    from measured_training import KINDS, Case, Form, measure
    from train_step import machine

REPOSITORY = Path(__file__).resolve().parents[1]
CASES = dict(
    seg=Case('configs/nyud_seg_bnn_quick.py', (480, 640)),
    depth=Case('configs/nyud_depth_bnn_quick.py', (480, 640)),
    indoor=Case('configs/pretrain/irnet_r18_indoor.py', (128, 128)),
    cifar_r20=Case('configs/pretrain/irnet_r20_cifar10.py', (32, 32)),
    cifar_r18=Case('configs/pretrain/irnet_r18_cifar10.py', (32, 32)))
FORMS = (
    Form('before', before=True), Form('float32, channels first'), Form('float32', 'channels_last'),
    Form('bfloat16', 'channels_last', bfloat16=True),
    Form('bfloat16, compiled', 'channels_last', bfloat16=True, compiled=True),
    Form('twin, float32', 'channels_last', twin=True),
    Form('twin, bfloat16', 'channels_last', bfloat16=True, twin=True))
HEADER = ('case', 'threads', 'form', 'images/s', 'x', 'CPU, s', 'x', 'first, s', 'limit, s', 'MiB', 'x',
          *KINDS, 'optimizer', 'other')


def run_form(case: Case, form: Form, args, threads: int) -> dict:
    """:func:`measure` in a process of its own, in the checkout of the form."""
    checkout = Path(args.before).resolve() if form.before else REPOSITORY
    environment = {**os.environ, 'PYTHONPATH': str(checkout), 'OMP_NUM_THREADS': str(threads)}
    work = json.dumps([case, form, args.repeats, threads])
    done = subprocess.run([sys.executable, __file__, '--measure', work], cwd=checkout, env=environment,
                          capture_output=True, text=True)
    if done.returncode:
        raise ToolError(f'{case.config}, {form.name}: the measurement failed:\n{done.stderr[-2000:]}')
    return json.loads(done.stdout.splitlines()[-1])


def rows_of(name: str, case: Case, args, threads: int) -> list[list]:
    """The rows of one case; ratios are to its first."""
    rows, first = [], None
    model = Config.fromfile(REPOSITORY / case.config).model
    taps = 'cmim' in model or model.backbone.get('taps')
    for form in FORMS:
        # CMIM taps binary convolutions, of which the twin has none.
        if (form.before and not args.before) or (form.twin and taps) or (form.compiled and not args.compiled):
            continue
        found = run_form(case, form, args, threads)
        first = first or found
        cells = [name, threads, form.name, f'{found["batch"] / found["wall"]:.1f}',
                 f'{first["wall"] / found["wall"]:.2f}', f'{found["cpu"]:.3f}',
                 f'{first["cpu"] / found["cpu"]:.2f}', f'{found["first"]:.1f}']
        if form.compiled:
            cells += ['-'] * (len(HEADER) - len(cells))
        else:
            cells += [f'{found["flops"] / found["rate"]:.3f}', f'{found["peak"] / 2**20:.0f}',
                      f'{found["peak"] / first["peak"]:.2f}',
                      *(f'{found["kinds"].get(kind, 0):.0%}' for kind in (*KINDS, 'optimizer', 'other'))]
        rows.append(cells)
        print(*cells, sep='  ', file=sys.stderr, flush=True)
    return rows


def make_parser() -> ArgumentParser:
    parser = ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--cases', nargs='*', choices=CASES, default=list(CASES), help='default: all')
    parser.add_argument('--configs', nargs='+', default=[], metavar='FILE',
                        help='further configs, with --size, for example with CMIM')
    parser.add_argument('--size', nargs=2, type=int, default=(480, 640), metavar=('H', 'W'))
    parser.add_argument('--before', metavar='DIR', help='another checkout, to be measured first')
    parser.add_argument('--compiled', action='store_true', help='also compiled, which takes minutes')
    parser.add_argument('--threads', nargs='+', type=int, default=[1, 2], metavar='N')
    parser.add_argument('--repeats', type=int, default=5, metavar='N', help='steps timed')
    parser.add_argument('--measure', metavar='JSON', help='for the benchmark itself: measures one form')
    return parser


def main(argv: Optional[Sequence[str]] = None) -> None:
    args = parse_args(make_parser(), argv)
    if args.measure:
        case, form, repeats, threads = json.loads(args.measure)
        print('\n' + json.dumps(measure(Case(*case), Form(*form), repeats, threads)))
        return
    if args.repeats < 1 or min(args.threads) < 1:
        raise ToolError(f'--repeats {args.repeats}, --threads {args.threads}: expected at least 1')
    if args.before and not (Path(args.before) / 'cmim_mm').is_dir():
        raise ToolError(f'--before {args.before}: no checkout; make one by git worktree add DIR COMMIT')
    cases = {name: CASES[name] for name in args.cases}
    cases.update({Path(path).stem: Case(path, tuple(args.size)) for path in args.configs})
    rows = [row for threads in args.threads for name, case in cases.items()
            for row in rows_of(name, case, args, threads)]
    print(format_table(HEADER, rows))
    device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    print(f'\nFastest of {args.repeats} steps; ratios are to the first row of a case; {machine(device)}')


if __name__ == '__main__':
    run(main)
