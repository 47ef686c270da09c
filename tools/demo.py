"""The main job from end to end, sized for 2 CPU cores: trains a binary network for segmentation and one for
depth, evaluates both, sets them beside predictors that never look at the image, and paints predictions.

Without --data-root it makes a folder of procedural rooms first; all its figures are then on synthetic data.
"""
import json
import os
import shlex
import subprocess
import sys
import time
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import cmim_mm  # noqa: F401  (before any import of mmsegmentation)
from cmim_mm.atomic import write_atomically
from cmim_mm.datasets.layout import read_list
from cmim_mm.engine.bfloat16 import has_fast_bfloat16
from cmim_mm.engine.cli import ToolError, check_folder, format_table, run

REPOSITORY = Path(__file__).resolve().parents[1]
ROOMS = 'data/rooms'
#: Task -> config, and its metrics under the names of the final table.
TASKS = {
    'segmentation': ('nyud_seg_bnn_quick.py', {'mIoU': 'mIoU (%)', 'aAcc': 'pixel accuracy (%)'}),
    'depth': ('nyud_depth_bnn_quick.py', {'pixel/rmse': 'RMSE (m)', 'pixel/d1': 'delta1'}),
}
NUM_PAINTED = 4
ITERS = 350


def make_parser() -> ArgumentParser:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument('--out', default='work_dirs/demo', help='folder of the results (%(default)s)')
    parser.add_argument('--data-root', default=ROOMS, metavar='DIR', help='data folder (%(default)s)')
    parser.add_argument('--num', type=int, default=500, help='rooms to make if there are none yet')
    parser.add_argument('--iters', type=int, default=ITERS, help='training steps of each task (%(default)s)')
    return parser


def call(tool: str, *arguments: object) -> None:
    """Runs a tool of the repository as a user would, and shows the command."""
    script = os.path.relpath(REPOSITORY / 'tools' / tool)
    command = [script, *map(str, arguments)]
    print(f'\n$ python {shlex.join(command)}', flush=True)
    started = time.monotonic()
    status = subprocess.run([sys.executable, *command]).returncode
    if status:
        raise ToolError(f'{script} ended with status {status}; what went wrong stands above')
    print(f'({time.monotonic() - started:.0f} s)', flush=True)


def run_task(task: str, root: Path, out: Path, iters: int, amp: bool) -> dict:
    """Trains, evaluates and paints; returns the metrics of the network and of the trivial predictor."""
    config = os.path.relpath(REPOSITORY / 'configs' / TASKS[task][0])
    data = ('--data-root', root)
    call('train.py', config, '--work-dir', out, *data, *(['--amp'] if amp else []), '--cfg-options',
         f'train_cfg.max_iters={iters}', f'train_cfg.val_interval={iters}', f'param_scheduler.1.end={iters}')
    checkpoint = os.path.relpath((out / 'last_checkpoint').read_text().strip())
    call('test.py', config, checkpoint, '--work-dir', out / 'test', *data)
    call('analysis_tools/trivial_baselines.py', config, '--out', out / 'trivial.json', *data)
    images = [next((root / 'image').glob(f'{name}.*')) for name in read_list(root / 'test.txt')[:NUM_PAINTED]]
    call('infer.py', config, checkpoint, *images, '--out', out / 'painted')
    network = max((out / 'test').glob('*/*.json'))  # named by their time
    return {'network': json.loads(network.read_text()), **json.loads((out / 'trivial.json').read_text())}


def main(argv: Optional[Sequence[str]] = None) -> None:
    args = make_parser().parse_args(argv)
    started = time.monotonic()
    root, out = Path(args.data_root), Path(args.out)
    check_folder(out, '--out')
    if args.data_root == ROOMS and not (root / 'test.txt').is_file():
        call('dataset_converters/rooms.py', '-o', root, '--num', args.num)
    amp = has_fast_bfloat16()
    print('Training in mixed precision: this machine has instructions for bfloat16.' if amp else
          'Training in float32: this machine has no instructions for bfloat16.', flush=True)
    results = {task: run_task(task, root, out / task, args.iters, amp) for task in TASKS}

    rows = []
    for task, (_, names) in TASKS.items():
        result = results[task]
        for key, name in names.items():
            network, trivial = result['network'][key], result['metrics'][key]
            rows.append([task, name, network, trivial, network / trivial, result['predictor']])
    table = format_table(['task', 'metric', 'binary network', 'trivial', 'ratio', 'trivial predictor'], rows)
    kind = ' (synthetic rooms, not photographs)' if args.data_root == ROOMS else ''
    text = f'Test split of {root}{kind}\n\n{table}\n'
    write_atomically(text.encode(), out / 'results.md')
    write_atomically(json.dumps(results, indent=2).encode(), out / 'results.json')
    print(f'\n{text}\nPainted predictions: ' + ', '.join(str(out / task / 'painted') for task in TASKS))
    print(f'Table: {out / "results.md"}, {out / "results.json"}')
    print(f'{(time.monotonic() - started) / 60:.1f} minutes in all')


if __name__ == '__main__':
    run(main)
