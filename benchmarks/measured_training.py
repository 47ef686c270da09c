"""A training as its config says, on one fixed batch of random images, timed and taken apart step by step."""
import tempfile
import time
from collections import defaultdict
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
from cmim_mm.structures import ClsDataSample

try:
    from benchmarks.train_step import LiveTensors
except ImportError:  # run as a script: its own folder is on the path
    from train_step import LiveTensors

from mmseg.structures import SegDataSample

WARM_UP = 2
#: Kind of operation -> parts of the names of torch's operations; the first that fits. Others are elementwise.
KINDS = {
    'conv': ('conv', ), 'norm': ('batch_norm', ), 'resize, pool': ('upsample', 'pool'),
    'copy, cast': ('copy_', 'fill_', 'aten::cat', 'index', 'flip'),
    'loss': ('softmax', 'nll', 'topk', 'exp_', 'scatter', 'gather', 'amax'),
}


class Case(NamedTuple):
    """A config, and the size of the images that its pipeline hands over."""
    config: str
    size: tuple[int, int]


class Form(NamedTuple):
    """How a config is trained."""
    name: str
    memory_format: str = 'contiguous'
    bfloat16: bool = False
    twin: bool = False
    before: bool = False
    compiled: bool = False


class Measure(Hook):
    """Times steps; then one step each for the profile, the tensors alive and the convolutions' FLOPs.

    Attributes:
        first: Seconds of the first step.
        wall: Seconds of each timed step.
        cpu: Processor time of each.
        kinds: :func:`shares`.
        peak: Bytes of all tensors alive.
        flops: Of the convolutions.
    """

    priority = 'VERY_LOW'

    def __init__(self, repeats: int) -> None:
        self.repeats = repeats
        self.wall: list[float] = []
        self.cpu: list[float] = []
        self.context = None
        self.kinds: dict[str, float] = {}
        self.first = self.peak = self.flops = 0

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
        elif runner.iter == 0:
            self.first = wall
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
    """As many random samples as a batch has, in a memory format; ``dense`` names the truth of every pixel."""

    metainfo: dict = {}

    def __init__(self, number: int, size: tuple[int, int], classes: int, dense: Optional[str],
                 memory_format: str) -> None:
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
            image = torch.randint(256, (*size, 3), generator=generator).byte().permute(2, 0, 1)
            if memory_format == 'contiguous':
                image = image.contiguous()
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
    steps = WARM_UP + repeats + (0 if form.compiled else 3)
    cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=steps, val_interval=10**9)
    for key in ('cfg', 'dataloader', 'evaluator'):
        cfg[f'val_{key}'] = cfg[f'test_{key}'] = None
    task = cfg.model.get('on', cfg.model.type).rpartition('.')[2]
    dense = dict(EncoderDecoder='gt_sem_seg', DepthEstimator='gt_depth_map').get(task)
    head, batch = cfg.model.decode_head or dict(num_classes=1), cfg.train_dataloader.batch_size
    cfg.train_dataloader = dict(
        batch_size=batch, num_workers=0, sampler=dict(type='InfiniteSampler', shuffle=False),
        dataset=dict(type='FixedBatch', number=batch, size=case.size, dense=dense,
                     memory_format=form.memory_format, classes=head.get('num_classes')))
    cfg.default_hooks = dict(checkpoint=None, logger=dict(type='LoggerHook', interval=10**9))
    replaced = ('CheckDatasetHook', 'MemoryFormatHook')
    cfg.custom_hooks = [h for h in cfg.get('custom_hooks', []) if not h['type'].endswith(replaced)]
    if not form.before:
        cfg.custom_hooks.append(dict(type='cmim_mm.MemoryFormatHook', memory_format=form.memory_format))
    if form.bfloat16 and torch.cuda.is_available():
        cfg.optim_wrapper.update(type='AmpOptimWrapper', dtype='bfloat16', loss_scale=1.0)
    elif form.bfloat16:
        cfg.optim_wrapper.type = 'cmim_mm.CPUAmpOptimWrapper'
    cfg.compile = form.compiled
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
    return dict(batch=batch, wall=min(hook.wall), cpu=min(hook.cpu), first=hook.first, peak=hook.peak,
                flops=hook.flops, kinds=hook.kinds, rate=convolution_rate(dtype))


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
