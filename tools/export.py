"""Exports a packed model to ONNX, where signs are floats, and compares the two on noise.

    python tools/export.py nyud_seg.cmim -o nyud_seg.onnx --size 480 640

The network takes normalized images and gives what the model's forward pass gives: logits, depth, or maps. The
file is as large as the full-precision one: ONNX has no 1-bit convolution.
"""
import logging
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Optional

import torch

import cmim_mm  # noqa: F401  (before any import of mmsegmentation)

# isort: split
from cmim_mm.atomic import write_atomically
from cmim_mm.deploy import load
from cmim_mm.deploy.format import is_packed
from cmim_mm.deploy.simulate import simulate
from cmim_mm.engine.cli import ToolError, check_folder, parse_args, run


def make_parser() -> ArgumentParser:
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('model', help='packed model, MODEL.cmim')
    parser.add_argument('-o', '--out', required=True, metavar='MODEL.onnx', help='file to write')
    parser.add_argument('--size', type=int, nargs=2, default=[480, 640], metavar=('H', 'W'),
                        help='of the images that the network sees (default: 480 640)')
    return parser


def export(path: str, size: Sequence[int], out: Path) -> float:
    """Writes the ONNX file; the largest difference between ONNX Runtime's results and the packed model's.

    Raises:
        ToolError: A package is missing.
    """
    try:
        import onnxruntime
        import onnxscript  # noqa: F401  (torch.onnx needs it)
    except ImportError as error:
        raise ToolError(f"{error.name} is not installed. Run: pip install 'cmim_mm[onnx]'") from error
    logging.getLogger('torch.onnx').setLevel(logging.ERROR)
    packed, simulated = load(path), simulate(load(path))
    first = next(m for m in packed.modules() if isinstance(m, torch.nn.Conv2d))
    image = torch.randn(1, first.in_channels, *size, generator=torch.Generator().manual_seed(0))
    with TemporaryDirectory() as folder, torch.no_grad():
        file = Path(folder) / 'model.onnx'
        torch.onnx.export(simulated, (image, ), file, input_names=['image'], dynamo=True, verbose=False,
                          external_data=False)
        content = file.read_bytes()
        session = onnxruntime.InferenceSession(content, providers=['CPUExecutionProvider'])
        results = session.run(None, {session.get_inputs()[0].name: image.numpy()})
        expected = packed(image)
    write_atomically(content, out)
    expected = [expected] if isinstance(expected, torch.Tensor) else expected
    return max(float((torch.from_numpy(a) - b).abs().max()) for a, b in zip(results, expected))


def main(argv: Optional[Sequence[str]] = None) -> None:
    args = parse_args(make_parser(), argv)
    out = Path(args.out)
    if out.suffix != '.onnx':
        raise ToolError(f'--out {out}: expected a name that ends with .onnx')
    if not is_packed(args.model):
        raise ToolError(f'{args.model}: is no packed model; tools/pack.py makes one of a checkpoint')
    if min(args.size) < 1:
        raise ToolError(f'--size {" ".join(map(str, args.size))}: expected positive numbers')
    check_folder(out.parent, '--out')
    difference = export(args.model, args.size, out)
    print(f'{out}: {out.stat().st_size / 1e6:.1f} MB; ONNX Runtime differs by at most {difference:.2g} on '
          'noise')


if __name__ == '__main__':
    run(main)
