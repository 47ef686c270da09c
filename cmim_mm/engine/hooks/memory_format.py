"""One memory format for the model and its batches."""
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor, nn

from cmim_mm.registry import HOOKS

from ..bare_model import bare_model
from ..schedule import optim_wrappers

FORMATS = dict(channels_last=torch.channels_last, contiguous=torch.contiguous_format)


@HOOKS.register_module()
class MemoryFormatHook(Hook):
    """Keeps weights, and the batches that the data preprocessor hands over, in one memory format.

    Layers hand it on, so every map of backbone, neck, heads and teachers has it. With the channels last,
    convolutions read and write without reordering, and bilinear resizing is vectorized. Shapes, values (to
    rounding) and checkpoints are the same in either format.

    Args:
        memory_format: 'channels_last' or 'contiguous' (channels, rows, columns).

    Raises:
        ValueError: Another format.
    """

    def __init__(self, memory_format: str = 'channels_last') -> None:
        if memory_format not in FORMATS:
            raise ValueError(f'MemoryFormatHook: memory_format={memory_format!r} is unknown; valid are '
                             f'{", ".join(FORMATS)}')
        self.memory_format = FORMATS[memory_format]
        self._converted: set[nn.Module] = set()

    def before_run(self, runner: Runner) -> None:
        model = bare_model(runner)
        model.to(memory_format=self.memory_format)  # a teacher too, which is not among its parameters
        preprocessor = model.data_preprocessor
        if preprocessor not in self._converted:  # a Runner that trains, then tests, comes here twice
            self._converted.add(preprocessor)
            preprocessor.register_forward_hook(self._convert)

    def before_train(self, runner: Runner) -> None:
        """A resumed optimizer's moments follow the weights, whatever format they were saved in.

        Fused optimizers take gradients and moments as they lie in memory: in another format than the
        weight's, each number would meet another weight's, without an error.
        """
        for wrapper in optim_wrappers(runner).values():
            for parameter, state in wrapper.optimizer.state.items():
                for key, value in state.items():
                    if isinstance(value, Tensor) and value.dim() == 4 and value.shape == parameter.shape:
                        state[key] = value.contiguous(memory_format=self.memory_format)

    def _convert(self, module: nn.Module, args: tuple, data: dict[str, Any]) -> dict[str, Any]:
        for key in ('inputs', 'teacher_inputs'):
            images = data.get(key)
            if isinstance(images, Tensor) and images.dim() == 4:
                data[key] = images.contiguous(memory_format=self.memory_format)
        return data
