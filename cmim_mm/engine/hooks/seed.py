"""Makes dropout and the like in a training step a function of (seed, iteration, rank)."""
from typing import Optional

from mmengine.hooks import Hook

from cmim_mm.datasets.seeded import Stream, derive_seed, seed_everything
from cmim_mm.registry import HOOKS


@HOOKS.register_module()
class SeedHook(Hook):
    """Seeds python, numpy and torch before each training step from (seed, iteration, rank)."""

    priority = 'HIGHEST'  # what other hooks draw before the step is then repeatable too

    def before_train_iter(self, runner, batch_idx: int, data_batch: Optional[dict] = None) -> None:
        seed_everything(derive_seed(runner.seed, Stream.STEP, runner.iter, runner.rank))
