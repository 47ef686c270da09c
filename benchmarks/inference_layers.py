"""Part ``layers`` of inference.py: single 3x3 layers, 1-bit against float32, bfloat16 and int8."""
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Callable, Optional

import torch
from torch import Tensor
from torch.nn import functional as F

from cmim_mm.deploy import available_kernels, ops
from cmim_mm.deploy.kernel import VARIABLE, popcount_limit
from cmim_mm.deploy.torch_path import pack_bits

try:
    from benchmarks.rivals import Layer, OpenVINOLayer, rival_layers
    from benchmarks.rounds import best_seconds
except ImportError:  # run as a script: its own folder is on the path
    from rivals import Layer, OpenVINOLayer, rival_layers
    from rounds import best_seconds

LAYERS = Layer(64, 120, 160), Layer(128, 60, 80), Layer(256, 30, 40), Layer(512, 15, 20)
HEADER = ('layer', 'engine', 'ms', 'GOP/s', 'of torch float32', 'of the limit')


@contextmanager
def forced(kernel: str) -> Iterator[None]:
    """``CMIM_MM_KERNEL`` for a while."""
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = kernel
    try:
        yield
    finally:
        if before is None:
            del os.environ[VARIABLE]
        else:
            os.environ[VARIABLE] = before


def packed_layer(layer: Layer, kernel: str) -> Callable[[], Tensor]:
    """Sign and pack of a float32 map, the convolution, scale and offset: a float32 map again."""
    x, w, (scale, offset) = map(torch.from_numpy, layer.arrays())
    x = x.contiguous(memory_format=torch.channels_last)
    weight, zero = pack_bits(w.permute(0, 2, 3, 1) >= 0, 1), torch.zeros(1, 1)
    with forced(kernel):
        prepared = ops.prepare_weight(weight, layer.channels)

    def run() -> Tensor:
        bits = ops.pack_sign(x, zero)
        return ops.binary_conv2d_fused(bits, weight, scale, offset, layer.channels, padding=1,
                                       y_dtype=torch.float32, prepared=prepared)[0]

    def run_forced() -> Tensor:
        with forced(kernel):
            return run()
    return run_forced


def torch_layer(layer: Layer, dtype: torch.dtype, memory: torch.memory_format) -> Callable[[], Tensor]:
    """F.conv2d with the scale in its filters and the offset as its bias."""
    x, w, (scale, offset) = map(torch.from_numpy, layer.arrays())
    x, w = (tensor.to(dtype, memory_format=memory) for tensor in (x, w * scale.view(-1, 1, 1, 1)))
    return lambda: F.conv2d(x, w, offset.to(dtype), padding=1)


def contestants(layer: Layer, threads: int, kernels: list[str]) -> dict[str, Optional[Callable]]:
    """What is timed, by name; of torch's two memory formats the better one counts later."""
    found = {f'{kernel} (ours)': packed_layer(layer, kernel) for kernel in kernels}
    for name, dtype in (('torch float32', torch.float32), ('torch bfloat16', torch.bfloat16)):
        for memory in (torch.contiguous_format, torch.channels_last):
            found[f'{name}|{memory}'] = torch_layer(layer, dtype, memory)
    return {**found, **rival_layers(layer, threads)}


def measure(layer: Layer, threads: int, rounds: int, kernels: list[str],
            limits: dict[str, float]) -> list[list]:
    """Rows of the table: the best of all rounds, which take turns, for each engine."""
    runs = contestants(layer, threads, kernels)
    with torch.inference_mode():
        seconds = best_seconds({name: run for name, run in runs.items() if run}, rounds)
    for name in ('OpenVINO float32', 'OpenVINO int8', 'OpenVINO binary'):
        if isinstance(runs[name], OpenVINOLayer):
            seconds[f'{name}, nodes alone'] = runs[name].node_seconds
    best = {}
    for name, value in seconds.items():
        name = name.split('|')[0]
        best[name] = min(value, best.get(name, value))
    shape = f'{layer.channels}@{layer.height}x{layer.width}'
    rows = []
    for name, value in best.items():
        limit = limits.get(name.split()[0])
        speed = layer.operations / value
        rows.append([shape, name, f'{1e3 * value:.3f}', f'{speed / 1e9:.0f}',
                     f'{best["torch float32"] / value:.1f}',
                     f'{100 * speed / limit / threads:.0f} %' if limit else '-'])
    return rows


def popcount_limits(kernels: list[str]) -> dict[str, float]:
    """Binary operations a second of one core, on registers alone, for each compiled kernel."""
    return {kernel: popcount_limit(kernel) for kernel in kernels if kernel != 'torch'}


def default_kernels() -> list[str]:
    """All but the two that are there to be read and to fall back on."""
    return [kernel for kernel in available_kernels() if kernel not in ('torch', 'serial')] or ['torch']
