"""A cheap look at the data before every start."""
from mmengine.hooks import Hook
from mmengine.runner import Runner

from cmim_mm.datasets.check import check_datasets
from cmim_mm.engine.bare_model import bare_model
from cmim_mm.engine.num_classes import check_num_classes
from cmim_mm.registry import HOOKS


@HOOKS.register_module()
class CheckDatasetHook(Hook):
    """Decodes a few frames of every data set of this project before training or testing.

    In training it also sees that every label has an output (:func:`check_num_classes`). That all listed
    files exist is checked when a data set is built; the full scan is ``tools/misc/check_dataset.py``.
    Reaches through wrappers. Draws no random numbers, so it changes no run.

    Args:
        num_samples: Frames to decode of each data set, evenly spread.

    Raises:
        DataError: Names the files and what to do.
    """
    priority = 'VERY_HIGH'

    def __init__(self, num_samples: int = 8) -> None:
        self.num_samples = num_samples

    def before_train(self, runner: Runner) -> None:
        loops = [runner.train_loop, runner.val_loop]
        check_datasets([loop.dataloader.dataset for loop in loops if loop], self.num_samples)

    def before_train_epoch(self, runner: Runner) -> None:
        check_num_classes(bare_model(runner), runner.train_loop.dataloader.dataset)

    def before_test(self, runner: Runner) -> None:
        check_datasets([runner.test_dataloader.dataset], self.num_samples)
