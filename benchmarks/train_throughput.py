"""Images per second, memory and share of time of trainings, side by side and beside the machine's limit.

Each case is a config, trained by its own Runner with all hooks on one fixed batch of random images. Its forms
are float32 with channels first, float32 with channels last, and bfloat16 with channels last, then the
full-precision twin in the last two; with --before, the same config in another checkout comes first, as it
stands there. Every form runs in a process of its own:

    git worktree add ../before COMMIT
    python benchmarks/train_throughput.py --before ../before

Images per second are those of the fastest step; CPU is the least processor time of a step, which other load
changes less. The limit beside it is the step's convolutions alone, at the rate that one 3x3 convolution,
forward and backward, reaches in that type with channels last (on a GPU by the clock). Memory is the peak
during a step as in train_step.py.
"""
import json
import os
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Optional

import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import DATASETS
from mmengine.runner import Runner
from mmengine.structures import PixelData
from torch.nn import functional as F
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

import cmim_mm  # noqa: F401  (before any import of mmsegmentation)
from cmim_mm.engine.cli import ToolError, format_table, parse_args, run
from cmim_mm.structures import ClsDataSample

try:
    from benchmarks.train_step import LiveTensors, machine
except ImportError:  # run as a script: its own folder is on the path
    from train_step import LiveTensors, machine

from mmseg.structures import SegDataSample

REPOSITORY = Path(__file__).resolve().parents[1]
WARM_UP = 2


class Case(NamedTuple):
    """A config, and the size of the images that its pipeline hands over."""
    config: str
    size: tuple[int, int]


CASES = dict(
    seg=Case('configs/nyud_seg_bnn_quick.py', (480, 640)),
    depth=Case('configs/nyud_depth_bnn_quick.py', (480, 640)),
    indoor=Case('configs/pretrain/irnet_r18_indoor.py', (128, 128)),
    cifar_r20=Case('configs/pretrain/irnet_r20_cifar10.py', (32, 32)),
    cifar_r18=Case('configs/pretrain/irnet_r18_cifar10.py', (32, 32)))


class Form(NamedTuple):
    """How a config is trained."""
    name: str
    memory_format: str = 'contiguous'
    bfloat16: bool = False
    twin: bool = False
    before: bool = False


FORMS = (
    Form('before', before=True), Form('float32, channels first'), Form('float32', 'channels_last'),
    Form('bfloat16', 'channels_last', bfloat16=True), Form('twin, float32', 'channels_last', twin=True),
    Form('twin, bfloat16', 'channels_last', bfloat16=True, twin=True))

#: Kind of operation -> parts of the names of torch's operations; the first that fits. Others are elementwise.
KINDS = {
    'conv': ('conv', ), 'norm': ('batch_norm', ), 'resize, pool': ('upsample', 'pool'),
    'copy, cast': ('copy_', 'fill_', 'aten::cat', 'index', 'flip'),
    'loss': ('softmax', 'nll', 'topk', 'exp_', 'scatter', 'gather', 'amax'),
}
HEADER = ('case', 'threads', 'form', 'images/s', 'x', 'CPU, s', 'x', 'limit, s', 'MiB', 'x', *KINDS,
          'optimizer', 'other')


class Measure(Hook):
    """Times steps; then one step each for the profile, the tensors alive and the convolutions' FLOPs."""

    priority = 'VERY_LOW'

    def __init__(self, repeats: int) -> None:
        self.repeats = repeats
        self.wall: list[float] = []
        self.cpu: list[float] = []
        self.context = None
        self.kinds: dict[str, float] = {}
        self.peak = self.flops = 0

    def before_train_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        extra = runner.iter - WARM_UP - self.repeats
        if extra == 0:
            self.context = profile(activities=[ProfilerActivity.CPU])
        elif extra == 1:
            optimizer = runner.optim_wrapper.optimizer
            state = [x for slots in optimizer.state.values() for x in slots.values()]
            known = [*runner.model.state_dict().values(), *state]
            self.context = LiveTensors([x for x in known if isinstance(x, torch.Tensor)])
            optimizer.zero_grad()
        elif extra == 2:
            self.context = FlopCounterMode(display=False)
        if self.context:
            self.context.__enter__()
        _synchronize()
        self.started = time.perf_counter(), time.process_time()

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        _synchronize()
        wall, cpu = time.perf_counter() - self.started[0], time.process_time() - self.started[1]
        if self.context:
            self.context.__exit__(None, None, None)
            if isinstance(self.context, profile):
                self.kinds = shares(self.context.events())
            elif isinstance(self.context, LiveTensors):
                self.peak = self.context.peak
            else:
                counts = self.context.get_flop_counts()['Global']
                self.flops = sum(n for name, n in counts.items() if 'conv' in str(name))
            self.context = None
        elif runner.iter >= WARM_UP:
            self.wall.append(wall)
            self.cpu.append(cpu)


def shares(events) -> dict[str, float]:
    """Kind of operation -> its share of the time."""
    times: dict[str, float] = defaultdict(float)
    for event in events:
        times[_kind(event)] += event.self_cpu_time_total
    total = sum(times.values())
    return {kind: spent / total for kind, spent in times.items()}


def _kind(event) -> str:
    parent = event
    while parent:
        if parent.name.startswith('Optimizer.step'):
            return 'optimizer'
        parent = parent.cpu_parent
    return next((kind for kind, parts in KINDS.items() if any(part in event.name for part in parts)), 'other')


def _synchronize() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


@DATASETS.register_module()
class FixedBatch(torch.utils.data.Dataset):
    """As many random samples as a batch has; ``dense`` names the truth of every pixel."""

    metainfo: dict = {}

    def __init__(self, number: int, size: tuple[int, int], classes: int, dense: Optional[str]) -> None:
        generator = torch.Generator().manual_seed(0)
        self.samples = []
        for i in range(number):
            meta = dict(sample_idx=i, img_shape=size, ori_shape=size)
            if dense:
                truth = (torch.randint(classes, (1, *size), generator=generator) if dense == 'gt_sem_seg' else
                         1 + 8 * torch.rand(1, *size, generator=generator))
                sample = SegDataSample(metainfo=meta)
                setattr(sample, dense, PixelData(data=truth))
            else:
                sample = ClsDataSample(gt_label=torch.tensor([i % classes]), metainfo=meta)
            image = torch.randint(256, (3, *size), generator=generator).byte()
            self.samples.append(dict(inputs=image, data_samples=sample))

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> dict:
        sample = self.samples[index]
        return dict(inputs=sample['inputs'], data_samples=sample['data_samples'].clone())


def measure(case: Case, form: Form, repeats: int, threads: int) -> dict:
    """What one form of a case does; runs in a process of its own."""
    torch.set_num_threads(threads)
    cfg = Config.fromfile(case.config)
    cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=WARM_UP + repeats + 3, val_interval=10**9)
    for key in ('cfg', 'dataloader', 'evaluator'):
        cfg[f'val_{key}'] = cfg[f'test_{key}'] = None
    task = cfg.model.get('on', cfg.model.type).rpartition('.')[2]
    dense = dict(EncoderDecoder='gt_sem_seg', DepthEstimator='gt_depth_map').get(task)
    batch = cfg.train_dataloader.batch_size
    cfg.train_dataloader = dict(
        batch_size=batch, num_workers=0, sampler=dict(type='InfiniteSampler', shuffle=False),
        dataset=dict(type='FixedBatch', number=batch, size=case.size, dense=dense,
                     classes=cfg.model.decode_head.get('num_classes')))
    cfg.default_hooks = dict(checkpoint=None, logger=dict(type='LoggerHook', interval=10**9))
    replaced = ('CheckDatasetHook', 'MemoryFormatHook')
    cfg.custom_hooks = [h for h in cfg.get('custom_hooks', []) if not h['type'].endswith(replaced)]
    if not form.before:
        cfg.custom_hooks.append(dict(type='cmim_mm.MemoryFormatHook', memory_format=form.memory_format))
    if form.bfloat16 and torch.cuda.is_available():
        cfg.optim_wrapper.update(type='AmpOptimWrapper', dtype='bfloat16', loss_scale=1.0)
    elif form.bfloat16:
        cfg.optim_wrapper.type = 'cmim_mm.CPUAmpOptimWrapper'
    if form.twin:
        cfg.model.backbone.update(binarizer=None, block=None)
    cfg.log_level = 'ERROR'
    hook = Measure(repeats)
    with tempfile.TemporaryDirectory() as folder:
        cfg.work_dir, cfg.experiment_name, cfg.visualizer = folder, Path(folder).name, None
        runner = Runner.from_cfg(cfg)
        runner.register_hook(hook)
        runner.train()
    dtype = torch.bfloat16 if form.bfloat16 else torch.float32
    return dict(batch=batch, wall=min(hook.wall), cpu=min(hook.cpu), peak=hook.peak, flops=hook.flops,
                kinds=hook.kinds, rate=convolution_rate(dtype))


def convolution_rate(dtype: torch.dtype) -> float:
    """FLOPs of a 3x3 convolution of 128 channels and its backward, by a second of the processors' time."""
    device, clock = ('cuda', time.perf_counter) if torch.cuda.is_available() else ('cpu', time.process_time)
    x, w = (torch.randn(*shape, device=device).to(dtype, memory_format=torch.channels_last).requires_grad_()
            for shape in ((8, 128, 60, 80), (128, 128, 3, 3)))
    seconds = []
    for _ in range(8):
        _synchronize()
        started = clock()
        y = F.conv2d(x, w, padding=1)
        y.backward(y.detach())
        _synchronize()
        seconds.append(clock() - started)
    return 3 * 2 * y.numel() * w[0].numel() / min(seconds)


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
    taps = Config.fromfile(REPOSITORY / case.config).model.backbone.get('taps')
    for form in FORMS:
        # CMIM taps binary convolutions, of which the twin has none.
        if (form.before and not args.before) or (form.twin and taps):
            continue
        found = run_form(case, form, args, threads)
        first = first or found
        cells = [name, threads, form.name, f'{found["batch"] / found["wall"]:.1f}',
                 f'{first["wall"] / found["wall"]:.2f}', f'{found["cpu"]:.3f}',
                 f'{first["cpu"] / found["cpu"]:.2f}', f'{found["flops"] / found["rate"]:.3f}',
                 f'{found["peak"] / 2**20:.0f}', f'{found["peak"] / first["peak"]:.2f}']
        rows.append(cells + [f'{found["kinds"].get(kind, 0):.0%}' for kind in (*KINDS, 'optimizer', 'other')])
        print(*cells, sep='  ', file=sys.stderr, flush=True)
    return rows


def make_parser() -> ArgumentParser:
    parser = ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--cases', nargs='*', choices=CASES, default=list(CASES), help='default: all')
    parser.add_argument('--configs', nargs='+', default=[], metavar='FILE',
                        help='further configs, with --size, for example with CMIM')
    parser.add_argument('--size', nargs=2, type=int, default=(480, 640), metavar=('H', 'W'))
    parser.add_argument('--before', metavar='DIR', help='another checkout, to be measured first')
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
