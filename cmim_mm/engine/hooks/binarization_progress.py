"""Tells the binary layers, and CMIM's head, how far training is."""
from typing import Optional

from mmengine.dist import broadcast, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn

from cmim_mm.binarize import BinaryConv2d, set_progress, start_epoch
from cmim_mm.models.heads import CMIMHead
from cmim_mm.registry import HOOKS


@HOOKS.register_module()
class BinarizationProgressHook(Hook):
    """Before each iteration i sets the progress i / max_iters, and starts epochs.

    An epoch starts at the iterations where the integer part of ``i * batch_size * ranks /
    len(dataset)`` rises, the first one included; this is a function of i alone, so a resumed run
    neither repeats nor skips one. It is started on rank 0, whose state the other ranks receive: the
    matrix decompositions behind it may differ between machines. Frozen layers keep the progress that
    they were trained to.
    """

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Optional[dict] = None) -> None:
        layers = [m for m in runner.model.modules()
                  if isinstance(m, BinaryConv2d) and m.weight.requires_grad]
        heads = [m for m in runner.model.modules() if isinstance(m, CMIMHead)]
        for module in layers + heads:
            set_progress(module, runner.iter / runner.max_iters)
        if runner.iter == 0 or _epoch(runner, runner.iter) > _epoch(runner, runner.iter - 1):
            _start_epoch(layers)


def _epoch(runner: Runner, iteration: int) -> int:
    loader = runner.train_dataloader
    return iteration * loader.batch_sampler.batch_size * runner.world_size // len(loader.dataset)


def _start_epoch(layers: list[nn.Module]) -> None:
    for layer in layers:
        if is_main_process():
            start_epoch(layer)
        for tensor in layer.binarizer.state_dict().values():
            broadcast(tensor)
