"""Finds where in a model a step of training left the finite numbers."""
from collections.abc import Iterator
from typing import Any, Callable, NamedTuple, Optional

from torch import Tensor, nn


class Culprit(NamedTuple):
    """What a repeated step showed.

    Attributes:
        losses: Mean of each entry of the losses, by its name.
        place: Where the first value that is not finite is, in words; None where all values are finite.
    """
    losses: dict[str, float]
    place: Optional[str]


def is_finite(value: Any) -> bool:
    """Whether all floating-point tensors in nested tuples, lists and dicts are finite."""
    return all(tensor.isfinite().all().item() for tensor in _tensors(value))


def nonfinite_parameter(model: nn.Module, gradient: bool = False) -> Optional[str]:
    """The first parameter with values (or a gradient) that are not finite, in words."""
    for name, parameter in model.named_parameters():
        value = parameter.grad if gradient else parameter
        if value is not None and not is_finite(value):
            bad = int((~value.isfinite()).sum())
            what = 'the gradient of the parameter' if gradient else 'the parameter'
            return f'{what} {name} ({bad} of {value.numel()} values)'
    return None


def find_culprit(model: nn.Module, losses_of: Callable[[], dict[str, Any]]) -> Culprit:
    """Repeats a step and names the first place that is not finite.

    That is a parameter; else, in the order of the forward pass, a module's output (or already its input),
    or a loss; else, in the order of the backward pass, the gradient at a module's output, or a parameter's.
    Gradients of the model are overwritten.

    Args:
        model: The model.
        losses_of: Runs the forward pass and returns the dict of losses.
    """
    place = nonfinite_parameter(model)
    outputs: list[str] = []
    gradients: list[str] = []
    handles = [module.register_forward_hook(_watch(name, outputs, gradients))
               for name, module in model.named_modules() if name]
    model.zero_grad()
    try:
        losses = losses_of()
        outputs += [f'the loss {name}, computed from finite activations'
                    for name, value in losses.items() if not is_finite(value)]
        if not (place or outputs):
            sum(tensor.mean() for name, value in losses.items() if 'loss' in name
                for tensor in _tensors(value)).backward()
    finally:
        for handle in handles:
            handle.remove()
    place = place or next(iter(outputs + gradients), None) or nonfinite_parameter(model, gradient=True)
    means = {name: sum(t.mean().item() for t in _tensors(value)) for name, value in losses.items()}
    return Culprit(means, place)


def _watch(name: str, outputs: 'list[str]', gradients: 'list[str]') -> Callable:
    def hook(module: nn.Module, inputs: tuple, output: Any) -> None:
        kind = type(module).__name__
        if not outputs and not is_finite(output):
            where = 'output' if is_finite(inputs) else 'input'
            outputs.append(f'the {where} of {name} ({kind})')
        for tensor in _tensors(output):
            if tensor.requires_grad:
                tensor.register_hook(lambda gradient: None if gradients or is_finite(gradient) else
                                     gradients.append(f'the gradient at the output of {name} ({kind})'))
    return hook


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        if value.is_floating_point():
            yield value
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _tensors(item)
