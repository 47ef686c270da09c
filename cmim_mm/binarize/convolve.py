"""A convolution of a binary tensor that keeps the latent one, from which backward makes the binary again."""
from typing import Optional

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from .base import ActivationForm


class _Convolve(Function):
    @staticmethod
    def forward(ctx, binary, x, weight, bias, geometry, *form):
        # Of the form too: at backward's time the module may hold other parameters than at forward's.
        tensors = [part if isinstance(part, Tensor) else None for part in form]
        ctx.save_for_backward(x, weight, bias, *tensors)
        ctx.numbers = [None if isinstance(part, Tensor) else part for part in form]
        ctx.geometry = geometry
        return F.conv2d(binary, weight, bias, *geometry)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        x, weight, bias, *tensors = ctx.saved_tensors
        form = ActivationForm(*(n if t is None else t for n, t in zip(ctx.numbers, tensors)))
        stride, padding, dilation, groups = ctx.geometry
        binary = form.value(x).to(weight.dtype)
        wanted = ctx.needs_input_grad[0], ctx.needs_input_grad[2], ctx.needs_input_grad[3]
        grads = torch.ops.aten.convolution_backward(
            grad, binary, weight, None if bias is None else bias.shape, stride, padding,
            dilation, False, (0, 0), groups, wanted)
        grad_bias = None if grads[2] is None else grads[2].to(bias.dtype)
        return grads[0], None, grads[1], grad_bias, None, None, None, None


def convolve(conv: nn.Conv2d, binary: Tensor, x: Tensor, weight: Tensor, bias: Optional[Tensor]) -> Tensor:
    """conv2d(binary, weight, bias) with the geometry of ``conv``, where binary is its binarizer's of x.

    A plain convolution keeps ``binary`` for its backward pass, beside the x that the estimator keeps. This
    one keeps x alone; the form that ``activation_form`` gives now makes the binary tensor again. A compiler
    decides by itself what to keep; it gets the plain convolution, as do string paddings and other modes than
    zeros.

    Args:
        conv: a BinaryConv2d.
        binary: (N, C, H, W), of x's dtype.
        x: (N, C, H, W).
        weight: (O, I/g, kh, kw), binary.
        bias: (O,).

    Returns:
        (N, O, H', W').
    """
    if conv.padding_mode != 'zeros' or isinstance(conv.padding, str) or torch.compiler.is_compiling():
        return conv._conv_forward(binary, weight, bias)
    geometry = conv.stride, conv.padding, conv.dilation, conv.groups
    with torch.no_grad():
        form = conv.activation_form(x)
    device = x.device.type
    if torch.is_autocast_enabled(device) and x.dtype != torch.float64:
        # Once, here: autocast would cast in forward, and backward again.
        binary, weight = (operand.to(torch.get_autocast_dtype(device)) for operand in (binary, weight))
    return _Convolve.apply(binary, x, weight, bias, geometry, *form)
