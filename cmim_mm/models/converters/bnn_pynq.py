"""The bits and thresholds of BNN-PYNQ's CNV network as weights of ``cmim_mm.BinaryCNV``."""
from pathlib import Path
from typing import NamedTuple, Union

import numpy as np
import torch
from torch import Tensor

from cmim_mm.checkpoint import CheckpointError


class Matrix(NamedTuple):
    """One layer as the circuit computes it: P processing elements take every P-th row, S columns a word.

    Attributes:
        name: Of the convolution here; its norm is ``bn1`` beside it.
        rows: Outputs; the last layer's are padded.
        columns: Inputs of a row, ordered (ky, kx, channel).
        kernel: Side of the kernel.
        simd: S.
        elements: P.
    """
    name: str
    rows: int
    columns: int
    kernel: int
    simd: int
    elements: int


LAYERS = (
    Matrix('backbone.conv1', 64, 27, 3, 3, 16), Matrix('backbone.layer1.0.conv1', 64, 576, 3, 32, 32),
    Matrix('backbone.layer2.0.conv1', 128, 576, 3, 32, 16),
    Matrix('backbone.layer2.1.conv1', 128, 1152, 3, 32, 16),
    Matrix('backbone.layer3.0.conv1', 256, 1152, 3, 32, 4),
    Matrix('backbone.layer3.1.conv1', 256, 2304, 3, 32, 1),
    Matrix('backbone.layer4.0.conv1', 512, 256, 1, 4, 1),
    Matrix('backbone.layer4.1.conv1', 512, 512, 1, 8, 1),
    Matrix('decode_head.fc', 64, 512, 1, 1, 4))
CLASSES = 10
#: An image value is a multiple of 1/128, and the first layer's thresholds are for 256 times its sums.
INPUT_FACTOR = 256


def read_cnv(folder: Union[str, Path]) -> dict[str, Tensor]:
    """The network's state dict, with +1 and -1 for latent weights and each threshold t as a norm.

    An output bit is 1 where the number of equal bits exceeds t, so where the sum S of n signs exceeds
    2t - n; S moves in steps of 2, and the norm's mean is the value between: 2t - n + 1. In the first layer,
    whose sums are of numbers, 256 S exceeds t, and the mean is (t + 1/2) / 256. The norm's own scale is 1.

    Args:
        folder: With ``L-P-weights.bin`` (uint64, the lowest bit first) and ``L-P-thres.bin`` (int64) of
            layer L and processing element P, as in Xilinx/BNN-PYNQ's ``params/cifar10/cnvW1A1``.

    Raises:
        CheckpointError: A file is missing or has another size; names it.
    """
    folder, state = Path(folder), {}
    for index, layer in enumerate(LAYERS):
        signs = _signs(folder, index, layer)
        shape = layer.kernel, layer.kernel, layer.columns // layer.kernel**2
        weight = torch.from_numpy(signs.reshape(-1, *shape)).permute(0, 3, 1, 2).contiguous()
        last = index == len(LAYERS) - 1
        state[f'{layer.name}.weight'] = weight[:CLASSES] if last else weight
        if index:
            state[f'{layer.name}.binarizer.progress'] = torch.ones(())
        if last:
            continue
        t = torch.from_numpy(_thresholds(folder, index, layer).astype(np.float32))
        norm = layer.name.replace('conv1', 'bn1')
        mean = 2 * t - layer.columns + 1 if index else (t + 0.5) / INPUT_FACTOR
        state.update({
            f'{norm}.weight': torch.ones(layer.rows), f'{norm}.bias': torch.zeros(layer.rows),
            f'{norm}.running_mean': mean, f'{norm}.running_var': torch.ones(layer.rows),
            f'{norm}.num_batches_tracked': torch.zeros((), dtype=torch.long)})
    return state


def _signs(folder: Path, index: int, layer: Matrix) -> np.ndarray:
    """(rows, columns), -1 and +1, float32."""
    signs = np.empty((layer.rows, layer.columns), np.float32)
    for p in range(layer.elements):
        count = layer.rows // layer.elements, layer.columns // layer.simd
        words = _read(folder / f'{index}-{p}-weights.bin', '<u8', count)
        bits = words[..., None] >> np.arange(layer.simd, dtype=np.uint64) & np.uint64(1)
        signs[p::layer.elements] = 2.0 * bits.reshape(count[0], -1) - 1
    return signs


def _thresholds(folder: Path, index: int, layer: Matrix) -> np.ndarray:
    found = np.empty(layer.rows, np.int64)
    for p in range(layer.elements):
        found[p::layer.elements] = _read(
            folder / f'{index}-{p}-thres.bin', '<i8', (layer.rows // layer.elements, ))
    return found


def _read(path: Path, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    if not path.is_file():
        raise CheckpointError(f'{path}: there is no such file; expected the folder params/cifar10/cnvW1A1 of '
                              'Xilinx/BNN-PYNQ, whole')
    wanted, size = 8 * int(np.prod(shape)), path.stat().st_size
    if size != wanted:
        raise CheckpointError(f'{path}: has {size} bytes, expected {wanted}; it is cut short, or of another '
                              'network than cnvW1A1')
    return np.fromfile(path, dtype).reshape(shape)
