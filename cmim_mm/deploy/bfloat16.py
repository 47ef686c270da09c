"""What is not 1-bit, computed in bfloat16 or, where it is the stem, in int8."""
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from cmim_mm.models.backbones.blocks import Maxout, RPReLU

from .dense import DenseConv2d
from .packed_conv import PackedConv2d
from .stem import StemConv2d

#: Layers that take bfloat16 maps as they are.
_MIXED = (_BatchNorm, RPReLU, Maxout)


def to_bfloat16(model: nn.Module) -> nn.Module:
    """Runs a converted model's full-precision convolutions, and keeps its maps, in bfloat16.

    Sums of signs stay exact, and their scales, norms and thresholds float32; what a map loses can turn the
    next signs, so predictions differ a little (``benchmarks/exactness.py --bfloat16`` says how much). Linear
    layers, and whatever follows a head's classifier, stay in float32.

    Args:
        model: As ``convert`` gives it; changed in place.
    """
    for module in model.modules():
        if isinstance(module, (DenseConv2d, nn.PReLU)):
            for parameter in module.parameters():  # buffers, a stem's norm, stay float32
                parameter.data = parameter.bfloat16()
        elif isinstance(module, PackedConv2d):
            module.y_dtype = torch.bfloat16
        elif module._parameters and not isinstance(module, _MIXED):
            module.register_forward_pre_hook(_in_float32)
    classifier = getattr(getattr(model, 'decode_head', None), 'conv_seg', None)
    if classifier is not None:
        classifier.register_forward_hook(_out_in_float32)
    return model


def to_int8(model: nn.Module) -> nn.Module:
    """As ``to_bfloat16``, but for the stem: its weights and the image in int8, its result in bfloat16.

    On other devices, and for compilers, it stays in bfloat16.

    Args:
        model: As ``convert`` gives it; changed in place.
    """
    for module in model.modules():
        if isinstance(module, StemConv2d):
            module.quantize()
    return to_bfloat16(model)


def _in_float32(module: nn.Module, inputs: tuple) -> tuple:
    return tuple(x.float() for x in inputs)


def _out_in_float32(module: nn.Module, inputs: tuple, output: torch.Tensor) -> torch.Tensor:
    return output.float()
