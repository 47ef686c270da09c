"""Logs the losses of all ranks, not those of rank 0 alone."""
from typing import Optional

import torch
from mmengine.dist import all_reduce, get_world_size
from mmengine.hooks import Hook

from cmim_mm.registry import HOOKS


@HOOKS.register_module()
class ReduceLossHook(Hook):
    """Replaces each logged value of a step by its mean over the ranks (gradients are not touched)."""

    priority = 'HIGHEST'  # before RuntimeInfoHook writes them down

    def after_train_iter(self, runner, batch_idx: int, data_batch: Optional[dict] = None,
                         outputs: Optional[dict] = None) -> None:
        if get_world_size() == 1 or not outputs:
            return
        values = torch.stack([torch.as_tensor(value).detach().float().mean() for value in outputs.values()])
        all_reduce(values, op='mean')
        outputs.update(zip(outputs, values.unbind()))
