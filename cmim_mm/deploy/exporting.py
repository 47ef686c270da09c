"""Packed models as files of other runtimes."""
import json
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, Union

import numpy as np
from torch import nn

from cmim_mm.atomic import write_atomically
from cmim_mm.checkpoint import CheckpointError
from cmim_mm.version import __version__

from .export_onnx import run_onnx, to_onnx
from .export_openvino import check_layers, run_openvino, save, to_openvino
from .from_image import FromImage
from .simulated import simulate

#: What each ending needs.
PACKAGES = {'.onnx': ('onnx', 'onnxscript', 'onnxruntime'), '.xml': ('onnx', 'onnxscript', 'openvino')}
#: Largest mean difference to the packed model, in standard deviations of an output: rounding may turn a sign
#: here and there, a layer that is computed wrongly makes about one.
TOLERANCE = 0.1
#: The same, of the largest value, where an output hardly varies.
ROUNDING = 1e-3


class Exported(NamedTuple):
    """Attributes:
        size: Bytes of what was written.
        outputs: Name -> shape, for one image.
        difference: Largest difference to the packed model, on an image of noise.
        largest: Largest absolute value there.
    """
    size: int
    outputs: dict[str, tuple[int, ...]]
    difference: float
    largest: float


def export(model: nn.Module, path: Union[str, Path], size: tuple[int, int]) -> Exported:
    """Writes a packed model for ONNX Runtime or OpenVINO, once both give the same on an image of noise.

    NAME.onnx simulates the 1-bit layers in float32, for any number of images. NAME.xml, with NAME.bin, has
    binary convolutions, for one image. Both take ``image``, float32, as
    :class:`~cmim_mm.deploy.from_image.FromImage` does.

    Args:
        model: As ``cmim_mm.deploy.load`` gives it, in float32 on the CPU; it is of no use afterwards.
        path: What to write, .onnx or .xml.
        size: (H, W) of the images.

    Raises:
        ValueError: Another ending.
        ImportError: A package of the extra ``onnx``, or ``openvino``, is not installed.
        CheckpointError: The format has no form for a layer, or the runtime computes something else.
        OSError: The file cannot be written.
    """
    path = Path(path)
    if path.suffix not in PACKAGES:
        raise ValueError(f'{path}: expected a name that ends with {" or ".join(PACKAGES)}')
    for package in PACKAGES[path.suffix]:
        import_module(package)
    whole = FromImage(model)
    image = whole.example(1, whole.channels, *size)
    expected = whole.outputs(image)
    simulate(model)
    if path.suffix == '.xml':
        check_layers(model)
    texts = dict(cmim_mm=__version__, dataset_meta=json.dumps(getattr(model, 'dataset_meta', None)))
    onnx = to_onnx(whole, size, texts)
    with TemporaryDirectory() as folder:
        if path.suffix == '.xml':
            files = save(to_openvino(onnx, image.shape, texts), Path(folder) / path.name)
            found = run_openvino(files[-1], image)
        else:
            files = [Path(folder) / path.name]
            files[0].write_bytes(onnx)
            found = run_onnx(files[0], image)
        named = dict(zip(whole.output_names(len(expected)), zip(expected, found)))
        for name, (one, other) in named.items():
            _check(name, one.numpy(), other)
        for file in files:
            write_atomically(file.read_bytes(), path.with_name(file.name))
        size = sum(file.stat().st_size for file in files)
    return Exported(size, {name: tuple(one.shape) for name, (one, _) in named.items()},
                    max(float(abs(one.numpy() - other).max()) for one, other in named.values()),
                    max(float(one.abs().max()) for one, _ in named.values()))


def _check(name: str, expected: np.ndarray, found: np.ndarray) -> None:
    difference = abs(expected - found).mean()
    if not difference <= TOLERANCE * expected.std() + ROUNDING * abs(expected).max():
        raise CheckpointError(
            f'{name}: the runtime gives other values than the packed model, by {difference:.3g} in the mean '
            f'where values have a standard deviation of {expected.std():.3g}. Nothing was written; another '
            'version of the runtime may do')
