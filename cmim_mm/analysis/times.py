"""Measured times of a packed model, layer by layer."""
import copy
import time

import torch
from torch import nn

from .cost import Cost


@torch.inference_mode()
def measure_times(model: nn.Module, cost: Cost, runs: int = 5) -> Cost:
    """Fills ``cost.times``: the fastest of some runs of the packed model on the CPU, in milliseconds.

    A layer's time holds what is joined with it: norm, shortcut, nonlinearity, the next signs. The total is
    that of the whole forward pass, with everything between the layers.

    Args:
        model: What the cost was counted of; it stays as it is.
        cost: What :func:`~cmim_mm.analysis.cost.model_cost` returned.
        runs: How many runs, after one that does not count.

    Raises:
        CheckpointError: A layer cannot be packed.
    """
    from cmim_mm.deploy.convert import convert  # needs what only deployment needs
    packed = convert(copy.deepcopy(model).cpu())
    names = {layer.name for layer in cost.layers}
    started: dict[str, float] = {}
    spent: dict[str, float] = {}
    best: dict[str, float] = {}

    def begin(name: str):
        return lambda module, args: started.__setitem__(name, time.perf_counter())

    def end(name: str):
        def hook(module, args, output) -> None:
            spent[name] = spent.get(name, 0) + 1e3 * (time.perf_counter() - started[name])
        return hook

    for name, module in packed.named_modules():
        if name in names:
            module.register_forward_pre_hook(begin(name))
            module.register_forward_hook(end(name))
    image = torch.randn(1, *cost.input_shape)
    for i in range(runs + 1):
        spent.clear()
        start = time.perf_counter()
        packed(image)
        spent['total'] = 1e3 * (time.perf_counter() - start)
        if i:
            for name, ms in spent.items():
                best[name] = min(ms, best.get(name, ms))
    cost.times = best
    return cost
