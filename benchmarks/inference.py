"""Times 1-bit inference against what a user could take instead, in one run on a CPU.

Part ``layers``: sign, packing, one 3x3 convolution, scale and offset, from a float32 map to a float32 map;
each compiled kernel, torch in its better memory format, and OpenVINO and ONNX Runtime where they are
installed (``pip install openvino onnx onnxruntime``). OpenVINO's rows "nodes alone" leave out the conversions
of layout at its entry and exit, by its own clock; a second run under ``ONEDNN_MAX_CPU_ISA=AVX512_CORE`` or
``AVX2`` shows its path without VPOPCNTDQ. Parts ``encoder``, ``seg`` and ``depth``: the ResNet-18 of
``nyud_seg_bnn.py`` and the whole networks of ``nyud_seg_bnn.py`` and ``nyud_depth_bnn.py``, one image of
480x640, packed and against their full-precision twins. All take turns, and each figure is the best of all
rounds.
"""
from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Optional

import torch

import cmim_mm  # noqa: F401  (before any import of mmsegmentation)
from cmim_mm.deploy import available_kernels
from cmim_mm.engine.cli import ToolError, format_table, parse_args, run

try:
    from benchmarks import inference_layers, inference_networks
    from benchmarks.train_step import machine
except ImportError:  # run as a script: its own folder is on the path
    import inference_layers
    import inference_networks
    from train_step import machine

PARTS = ('layers', *inference_networks.CASES)


def make_parser() -> ArgumentParser:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument('--parts', nargs='+', choices=PARTS, default=list(PARTS))
    parser.add_argument('--threads', nargs='+', type=int, default=[1, 2], metavar='N')
    parser.add_argument('--rounds', type=int, default=5, metavar='N', help='turns that everything takes')
    parser.add_argument('--kernels', nargs='+', metavar='NAME', default=inference_layers.default_kernels(),
                        help='of available_kernels(); by default those that are there for speed')
    parser.add_argument('--channels', nargs='+', type=int, metavar='C',
                        default=[layer.channels for layer in inference_layers.LAYERS],
                        help='the layers to time: 64, 128, 256, 512')
    return parser


def check(args) -> None:
    for kernel in args.kernels:
        if kernel not in available_kernels():
            raise ToolError(f"--kernels: '{kernel}' does not run here; valid are "
                            f'{", ".join(available_kernels())}')
    for name, values in (('threads', args.threads), ('rounds', [args.rounds])):
        if min(values) < 1:
            raise ToolError(f'--{name} {min(values)}: expected at least 1')
    known = [layer.channels for layer in inference_layers.LAYERS]
    for channels in args.channels:
        if channels not in known:
            raise ToolError(f'--channels {channels}: expected of {known}')


def print_layers(args, threads: int, limits: dict[str, float]) -> None:
    rows = [row for layer in inference_layers.LAYERS if layer.channels in args.channels
            for row in inference_layers.measure(layer, threads, args.rounds, args.kernels, limits)]
    print(format_table(inference_layers.HEADER, rows))


def main(argv: Optional[Sequence[str]] = None) -> None:
    args = parse_args(make_parser(), argv)
    check(args)
    limits = inference_layers.popcount_limits(args.kernels)
    print(f'{machine(torch.device("cpu"))}; kernels {", ".join(available_kernels())}')
    for kernel, limit in limits.items():
        print(f'limit of {kernel} on registers alone: {limit / 1e9:.0f} GOP/s a core')
    for threads in args.threads:
        torch.set_num_threads(threads)
        if 'layers' in args.parts:
            print(f'\n{threads} thread{"s" * (threads > 1)}, best of {args.rounds} rounds')
            print_layers(args, threads, limits)
    for case in inference_networks.CASES:
        if case in args.parts:
            print(f'\nbest of {args.rounds} rounds')
            print(inference_networks.measure(case, args.threads, args.rounds), flush=True)


if __name__ == '__main__':
    run(main)
