"""Times the training step of a binary ResNet-18 against its full-precision twin, in one run.

A step is forward, cross-entropy, backward and SGD with momentum. Of each method three networks are
measured: the full-precision twin, the package's, and the method's equations in plain operations
(eager_methods.py). Their steps take turns, and ratios are medians over turns, so other load on the machine
hits all three alike. Memory is the peak during a step, parameters included: what CUDA's allocator
counts, or on a CPU the bytes of all tensors alive at once (a kernel's own scratch memory is not seen).
"""
import gc
import os
import platform
import time
import weakref
from argparse import ArgumentParser
from collections.abc import Sequence
from statistics import median
from typing import Optional

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import cmim_mm  # noqa: F401  (before any import of mmsegmentation)
from cmim_mm.binarize import BINARIZERS, set_progress
from cmim_mm.engine.cli import ToolError, format_table, parse_args, run
from cmim_mm.models.backbones import BinaryResNet

try:
    from benchmarks.eager_methods import METHODS, to_eager
except ImportError:  # run as a script: its own folder is on the path
    from eager_methods import METHODS, to_eager

CLASSES = 100
WARM_UP = 2
HEADER = ('method', 'ms', 'time / twin', 'eager / twin', 'MiB', 'memory / twin', 'eager memory / twin')


class LiveTensors(TorchDispatchMode):
    """Counts the bytes of the storages that operations make while it is active.

    Attributes:
        live: Bytes alive now.
        peak: The largest ``live`` so far.
    """

    def __init__(self, known: Sequence[Tensor]) -> None:
        super().__init__()
        self.live = self.peak = 0
        self._seen = weakref.WeakSet()
        self._count(known)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        self._count(leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor))
        return result

    def _count(self, tensors) -> None:
        for tensor in tensors:
            storage = tensor.untyped_storage()
            if storage not in self._seen:
                self._seen.add(storage)
                size = storage.nbytes()
                self.live += size
                weakref.finalize(storage, self._free, size)
        self.peak = max(self.peak, self.live)

    def _free(self, size: int) -> None:
        self.live -= size


class TrainStep:
    """A network with an optimizer; a call trains it on one fixed batch."""

    def __init__(self, binarizer: Optional[str], images: Tensor, labels: Tensor, eager: bool = False,
                 compiled: bool = False) -> None:
        self.images, self.labels = images, labels
        torch.manual_seed(0)
        backbone = BinaryResNet(depth=18, binarizer=binarizer, out_indices=(3,))
        set_progress(backbone, 0.5)
        head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, CLASSES))
        self.network = nn.ModuleList([to_eager(backbone) if eager else backbone, head]).to(images.device)
        self.optimizer = torch.optim.SGD(self.network.parameters(), lr=1e-3, momentum=0.9)
        self.loss = torch.compile(self._loss) if compiled else self._loss

    def _loss(self) -> Tensor:
        backbone, head = self.network
        return F.cross_entropy(head(backbone(self.images)[0]), self.labels)

    def __call__(self) -> None:
        self.optimizer.zero_grad()
        self.loss().backward()
        self.optimizer.step()

    def seconds(self) -> float:
        """Duration of one step."""
        self._synchronize()
        start = time.perf_counter()
        self()
        self._synchronize()
        return time.perf_counter() - start

    def peak_bytes(self) -> int:
        """Peak memory of one step, with what the network and the optimizer keep between steps."""
        self.optimizer.zero_grad()
        if self.images.is_cuda:
            torch.cuda.reset_peak_memory_stats(self.images.device)
            others = torch.cuda.memory_allocated(self.images.device) - self._kept_bytes()
            self()
            return torch.cuda.max_memory_allocated(self.images.device) - others
        with LiveTensors(self._kept()) as tensors:
            self()
        return tensors.peak

    def _kept(self) -> list[Tensor]:
        state = tree_leaves([list(slots.values()) for slots in self.optimizer.state.values()])
        return [*self.network.state_dict().values(), self.images, self.labels,
                *(value for value in state if isinstance(value, Tensor))]

    def _kept_bytes(self) -> int:
        return sum(tensor.untyped_storage().nbytes() for tensor in self._kept())

    def _synchronize(self) -> None:
        if self.images.is_cuda:
            torch.cuda.synchronize(self.images.device)


def compare(method: str, images: Tensor, labels: Tensor, repeats: int, compiled: bool) -> list:
    """A row of the table."""
    gc.collect()  # the networks of the row before: a step refers to itself by its loss
    steps = [TrainStep(binarizer, images, labels, eager, compiled and not eager)
             for binarizer, eager in ((None, False), (method, False), (method, True))
             if not eager or method in METHODS]
    for step in steps:
        for _ in range(WARM_UP):
            step()
    turns = [[step.seconds() for step in steps] for _ in range(repeats)]
    # A compiled step's tensors are no longer seen one by one on a CPU.
    peaks = [step.peak_bytes() for step in steps] if images.is_cuda or not compiled else []
    ratios = [f'{median(turn[i] / turn[0] for turn in turns):.2f}' for i in range(1, len(steps))]
    memory = [f'{peak / peaks[0]:.2f}' for peak in peaks[1:]]
    return [method, f'{1e3 * median(turn[1] for turn in turns):.0f}', *_pad(ratios),
            f'{peaks[1] / 2**20:.0f}' if peaks else '-', *_pad(memory)]


def _pad(cells: list[str]) -> list[str]:
    return cells + ['-'] * (2 - len(cells))


def machine(device: torch.device) -> str:
    """What the figures were measured on."""
    return (f'torch {torch.__version__}, {device_name(device)}, '
            f'{torch.get_num_threads()} of {os.cpu_count()} cores')


def device_name(device: torch.device) -> str:
    if device.type == 'cuda':
        return torch.cuda.get_device_name(device)
    try:
        with open('/proc/cpuinfo', encoding='utf-8') as file:
            return next(line.split(':')[1].strip() for line in file if line.startswith('model name'))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def make_parser() -> ArgumentParser:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument('--methods', nargs='+', metavar='NAME', default=list(BINARIZERS.module_dict),
                        help='binarizers (default: all that are registered)')
    parser.add_argument('--batch-size', type=int, default=16, metavar='N')
    parser.add_argument('--image-size', type=int, default=112, metavar='PIXELS')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--repeats', type=int, default=7, metavar='N', help='turns that the medians are over')
    parser.add_argument('--threads', type=int, metavar='N', help="torch's threads on the CPU")
    parser.add_argument('--compile', action='store_true',
                        help='compile the twin and the method with inductor; the equations stay eager')
    return parser


def main(argv: Optional[Sequence[str]] = None) -> None:
    args = parse_args(make_parser(), argv)
    for method in args.methods:
        if method not in BINARIZERS:
            raise ToolError(f"--methods: there is no binarizer '{method}'; valid are "
                            f'{", ".join(BINARIZERS.module_dict)}')
    for name in ('batch_size', 'image_size', 'repeats'):
        if getattr(args, name) < 1:
            raise ToolError(f'--{name.replace("_", "-")} {getattr(args, name)}: expected at least 1')
    if args.threads:
        torch.set_num_threads(args.threads)
    device = torch.device(args.device)
    images = torch.randn(args.batch_size, 3, args.image_size, args.image_size, device=device)
    labels = torch.randint(CLASSES, (args.batch_size,), device=device)
    rows = [compare(method, images, labels, args.repeats, args.compile) for method in args.methods]
    print(format_table(HEADER, rows))
    print(f'\nBinaryResNet-18, {args.batch_size} images of {args.image_size}x{args.image_size}, '
          f'{"compiled" if args.compile else "eager"}, median of {args.repeats}; {machine(device)}')


if __name__ == '__main__':
    run(main)
