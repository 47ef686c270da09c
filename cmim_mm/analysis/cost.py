"""What a network costs: operations and bytes, layer by layer.

Published conventions (Bi-Real, arXiv 1808.00278; ReActNet, arXiv 2003.03488): a multiply-add counts
one; those of full-precision layers are FLOPs, those between 1-bit inputs and 1-bit weights are BOPs,
and ``OPs = FLOPs + BOPs / 64``. Convolutions and linear layers are counted, nothing else: additions of
shortcuts, normalization, pooling, interpolation and the products inside an attention are left out. A
binary weight takes 1 bit, every other parameter 32; buffers take none. Only what runs in a forward
pass in eval mode is counted, so an auxiliary head is not.
"""
from collections import Counter
from dataclasses import dataclass, field

import torch
from torch import nn

from cmim_mm.binarize import BinaryConv2d

CONVS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
COUNTED = (*CONVS, *TRANSPOSED, nn.Linear)


@dataclass
class LayerCost:
    """Cost of one layer for one image.

    Attributes:
        name: Path of the module in the model, or '(n layers)' for the layers that only hold parameters.
        type: Class name.
        input_bits: Bits of an input value; 0 where there is no multiply-add.
        weight_bits: Bits of a weight.
        weights: Number of weights.
        other: Number of all further parameters (biases, thresholds, scales), 32 bits each.
        macs: Multiply-adds.
    """
    name: str
    type: str
    input_bits: int
    weight_bits: int
    weights: int
    other: int = 0
    macs: int = 0

    @property
    def params(self) -> int:
        """Number of parameters."""
        return self.weights + self.other

    @property
    def flops(self) -> int:
        """Full-precision multiply-adds."""
        return 0 if self.is_binary else self.macs

    @property
    def bops(self) -> int:
        """Binary multiply-adds."""
        return self.macs if self.is_binary else 0

    @property
    def ops(self) -> float:
        """FLOPs + BOPs / 64."""
        return self.flops + self.bops / 64

    @property
    def bytes(self) -> float:
        """Storage of the parameters."""
        return (self.weights * self.weight_bits + self.other * 32) / 8

    @property
    def is_binary(self) -> bool:
        """Whether both factors of its multiply-adds are 1-bit."""
        return self.input_bits == 1 and self.weight_bits == 1


@dataclass
class Cost:
    """Cost of a model for one image of ``input_shape`` (C, H, W).

    Attributes:
        times: Measured milliseconds of the packed model by names of layers, 'total' of the whole; empty
            unless :func:`~cmim_mm.analysis.times.measure_times` filled it.
    """
    input_shape: tuple[int, ...]
    layers: list[LayerCost]
    times: dict[str, float] = field(default_factory=dict)

    @property
    def total(self) -> dict[str, float]:
        """Sums over the layers of params, flops, bops, ops and bytes."""
        return {key: sum(getattr(layer, key) for layer in self.layers)
                for key in ('params', 'flops', 'bops', 'ops', 'bytes')}


def model_cost(model: nn.Module, input_shape: tuple[int, ...]) -> Cost:
    """Runs one image through the model, in eval mode and on its own device, and counts.

    Args:
        model: Called as ``model(x)`` with x (1, C, H, W); an MM model then runs its 'tensor' mode. Its
            weights, buffers and modes are left as they were.
        input_shape: (C, H, W) of what the network sees, i.e. after any resize of a data preprocessor.

    Raises:
        ValueError: ``input_shape`` has not three positive numbers.
    """
    if len(input_shape) != 3 or min(input_shape) < 1:
        raise ValueError(f'model_cost: input_shape must be (channels, height, width), got {input_shape}')
    counter = _Counter(model)
    modes = {module: module.training for module in model.modules()}
    device = next((p.device for p in model.parameters()), torch.device('cpu'))
    # Noise, not zeros: some binarizers standardize their input. The generator leaves the global seed.
    image = torch.randn(1, *input_shape, generator=torch.Generator().manual_seed(0)).to(device)
    try:
        model.eval()
        with torch.no_grad():
            model(image)
    finally:
        counter.remove()
        for module, mode in modes.items():
            module.training = mode
    return Cost(tuple(input_shape), counter.layers())


class _Counter:
    """Forward hooks on every module that owns parameters."""

    def __init__(self, model: nn.Module) -> None:
        self._counted: dict[str, LayerCost] = {}
        self._parameters_only: dict[str, LayerCost] = {}
        self._handles = []
        inside = {child for m in model.modules() if isinstance(m, BinaryConv2d)
                  for child in m.modules() if child is not m}
        for name, module in model.named_modules():
            if isinstance(module, COUNTED):
                self._handles.append(module.register_forward_hook(self._count_as(name)))
            elif module not in inside and any(p is not None for p in module._parameters.values()):
                self._handles.append(module.register_forward_hook(self._hold_as(name)))

    def remove(self) -> None:
        for handle in self._handles:
            handle.remove()

    def layers(self) -> list[LayerCost]:
        """Counted layers in the order of their first call, then the others, one row a class."""
        rest = self._parameters_only.values()
        number = Counter(layer.type for layer in rest)
        rows = [LayerCost(f'({n} layers)', kind, 0, 32, 0, sum(x.other for x in rest if x.type == kind))
                for kind, n in number.items()]
        return [*self._counted.values(), *rows]

    def _count_as(self, name: str):

        def hook(module, args, output):
            if name not in self._counted:  # a shared layer computes again but is stored once
                input_bits = 1 if isinstance(module, BinaryConv2d) else 32
                real = input_bits == 32 or getattr(module.binarizer, 'real_weights', False)
                weight_bits = 32 if real else 1
                weights = module.weight.numel()
                other = sum(p.numel() for p in module.parameters()) - weights
                self._counted[name] = LayerCost(
                    name or '(model)', type(module).__name__, input_bits, weight_bits, weights, other)
            # Each output value of a convolution (input value of a transposed one) meets a whole kernel, or
            # the part of it that belongs to the channels it was given.
            values = args[0] if isinstance(module, TRANSPOSED) else output
            kernel = module.weight[0].numel()
            if isinstance(module, nn.Conv2d):
                kernel = kernel * args[0].shape[1] // module.in_channels
            self._counted[name].macs += values.numel() * kernel

        return hook

    def _hold_as(self, name: str):

        def hook(module, args, output):
            number = sum(p.numel() for p in module._parameters.values() if p is not None)
            self._parameters_only[name] = LayerCost(name, type(module).__name__, 0, 32, 0, number)

        return hook
