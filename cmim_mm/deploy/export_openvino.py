"""A packed model as OpenVINO IR, whose 1-bit layers are ``opset1.binary_convolution``.

The operation reads bits, 0 and 1, and gives sums of signs over the taps inside the image. OpenVINO has
kernels for it on x86, and takes the scale, the sum with a shortcut, the PReLU and the next comparison into
it. None of its converters makes it, so it is put here in the place of the ONNX form's convolutions of signs.
"""
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Optional

import numpy as np
from torch import Tensor, nn

from cmim_mm.checkpoint import CheckpointError

from .simulated import SimulatedConv2d

if TYPE_CHECKING:
    import openvino

#: Columns that its kernels can pad.
MAX_PADDING = 4
#: How the names of weights that are signs end.
SIGNS = '.signs'
_TINY = np.finfo(np.float32).tiny
_INSTEAD = 'Export to a name that ends with .onnx, or train with this layer in full precision'


def check_layers(model: nn.Module) -> None:
    """Refuses, before any work, a simulated model with a layer that the operation has no form for.

    Raises:
        CheckpointError: Names the first such layer, and says why.
    """
    for name, layer in model.named_modules():
        reason = _reason(layer) if isinstance(layer, SimulatedConv2d) else None
        if reason is not None:
            raise CheckpointError(f'{name}: {reason}. {_INSTEAD}')


def _reason(layer: SimulatedConv2d) -> Optional[str]:
    columns = layer.conv['padding'][1]
    if layer.groups > 1:
        return f"OpenVINO's binary convolution has no groups, this one has {layer.groups}"
    if layer.in_channels % 8:  # its sums are wrong, without a word
        return (f"OpenVINO's binary convolution takes input channels by eights, this one has "
                f'{layer.in_channels}')
    if columns > MAX_PADDING:
        return f"OpenVINO's binary convolution pads {MAX_PADDING} columns at most, this one {columns}"
    return None


def to_openvino(onnx: bytes, shape: Sequence[int], texts: Mapping[str, str]) -> 'openvino.Model':
    """The network of a simulated model's ONNX form.

    Args:
        onnx: The file's content.
        shape: (N, C, H, W) of its images.
        texts: What goes along, under ``cmim_mm`` in ``rt_info``.

    Raises:
        ImportError: openvino is not installed.
        CheckpointError: A map is too narrow.
    """
    import openvino
    network = openvino.Core().read_model(BytesIO(onnx))
    network.reshape(list(shape))
    for conv in network.get_ordered_ops():
        weight = conv.input_value(1).get_node() if conv.get_type_name() == 'Convolution' else None
        if weight is not None and weight.get_friendly_name().endswith(SIGNS):
            made = _binary_convolution(conv, weight)
            for reader in conv.output(0).get_target_inputs():
                reader.replace_source_output(made.output(0))
    for name, text in texts.items():
        network.set_rt_info(text, ['cmim_mm', name])
    return network


def save(network: 'openvino.Model', path: Path) -> list[Path]:
    """Writes NAME.bin and NAME.xml; returns both paths in this order."""
    import openvino
    openvino.save_model(network, path, compress_to_fp16=False)
    return [path.with_suffix('.bin'), path]


def run_openvino(path: Path, image: Tensor) -> list[np.ndarray]:
    """What OpenVINO gives on this CPU, in float32."""
    import openvino
    compiled = openvino.compile_model(path, 'CPU', {'INFERENCE_PRECISION_HINT': 'f32'})
    return list(compiled([image.numpy()]).values())


def _binary_convolution(conv: 'openvino.Node', weight: 'openvino.Node') -> 'openvino.Node':
    """The same sums, of what the convolution's input is compared with."""
    import openvino
    from openvino import opset1
    name, geometry = weight.get_friendly_name().removeprefix('model.'), conv.get_attributes()
    width, columns = conv.output(0).shape[3], geometry['pads_begin'][1]
    if width < columns:
        layer = name.rpartition('.')[0]
        raise CheckpointError(f"{layer}: OpenVINO's binary convolution pads at most the columns of its map, "
                              f'here {columns} of {width}. Take larger images')
    bits = openvino.Tensor(np.packbits(weight.data > 0, bitorder='little'), weight.output(0).shape,
                           openvino.Type.u1)
    made = opset1.binary_convolution(
        _bits(conv.input_value(0).get_node()), openvino.op.Constant(bits, shared_memory=False),
        geometry['strides'], geometry['pads_begin'], geometry['pads_end'], geometry['dilations'],
        mode='xnor-popcount', pad_value=0.0)
    made.set_friendly_name(name)
    return made


def _bits(signs: 'openvino.Node') -> 'openvino.Node':
    """where(x >= threshold, 1, -1) as bits; fake_quantize gives 1 above its bound, here the next below."""
    from openvino import opset1
    compared = signs.input_value(0).get_node()
    x, threshold = compared.input_value(0), compared.input_value(1)
    if threshold.get_node().get_type_name() == 'Constant':
        bound = just_below(threshold.get_node().data)
    else:  # of each image; bounds must be constant
        x, bound = opset1.subtract(x, threshold), just_below(np.zeros((1, 1, 1, 1), np.float32))
    return opset1.fake_quantize(x, bound, bound, np.float32(0), np.float32(1), 2)


def just_below(threshold: np.ndarray) -> np.ndarray:
    """The next float32 below, on processors that take denormal numbers for 0."""
    below = np.nextafter(threshold, np.float32(-np.inf))
    return np.where(abs(below) < _TINY, np.where(below < 0, -_TINY, 0), below).astype(np.float32)
