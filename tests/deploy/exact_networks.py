"""Networks whose every number has few binary digits: all arithmetic on them is exact, whatever its order.

So trained and packed networks must agree to the last bit, ties at thresholds included, of which there are
many.
"""
import torch
from torch import nn

from cmim_mm.binarize import BinaryConv2d


def choice(like, *values):
    """Random numbers out of a few, of a tensor's shape."""
    return torch.tensor(values)[torch.randint(len(values), like.shape)]


@torch.no_grad()
def make_exact(network: nn.Module, seed: int = 0) -> nn.Module:
    """Draws all parameters and statistics anew; norms of zero and negative weight are among them."""
    torch.manual_seed(seed)
    for name, module in network.named_modules():
        if isinstance(module, BinaryConv2d):
            _binary(module)
        elif isinstance(module, (nn.Conv2d, nn.Linear)):
            module.weight.copy_(choice(module.weight, -0.25, 0.0, 0.0, 0.0, 0.0, 0.25))
        elif isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eps = 0.0
            module.running_var.copy_(choice(module.running_var, 1.0, 4.0, 16.0))
            module.running_mean.copy_(choice(module.running_mean, -2.0, 0.0, 1.0))
            module.weight.copy_(choice(module.weight, -0.5, 0.0, 0.5, 1.0, 1.0))
            module.bias.copy_(choice(module.bias, -1.0, 0.0, 0.0, 0.5))
        else:
            for key, parameter in module.named_parameters(recurse=False):
                if 'binarizer' not in name:
                    values = (-1.0, 0.0, 1.0) if 'shift' not in key else (-0.5, 0.0, 0.5)
                    parameter.copy_(choice(parameter, *values))
    return network.eval()


def _binary(conv: BinaryConv2d) -> None:
    """Weights of two values, as many of each over the input channels of every tap."""
    o, i, kh, kw = conv.weight.shape
    order = torch.rand(o, i, kh, kw).argsort(1)
    conv.weight.copy_(torch.where(order < i // 2, -0.5, 0.5))
    binarizer = conv.binarizer
    if type(binarizer).__name__ == 'AdaBin':
        conv.weight.add_(0.25)
        binarizer.alpha_a.copy_(choice(binarizer.alpha_a, -0.5, 0.5, 1.0))
        binarizer.beta_a.copy_(choice(binarizer.beta_a, -0.5, 0.0, 0.5))
    for key, values in dict(alpha=(-0.5, 0.0, 0.25, 0.5), shift=(-0.5, 0.0, 0.5)).items():
        if hasattr(binarizer, key):
            parameter = getattr(binarizer, key)
            parameter.copy_(choice(parameter, *values))


def images(*shape: int, seed: int = 1) -> torch.Tensor:
    """Images of few levels."""
    return torch.randint(-8, 9, shape, generator=torch.Generator().manual_seed(seed)) / 4
