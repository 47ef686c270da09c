"""Gives memory banks a row for each training image."""
from mmengine.hooks import Hook
from mmengine.runner import BaseLoop, Runner
from torch.utils.data import ConcatDataset, Dataset

from cmim_mm.engine.bare_model import bare_model
from cmim_mm.models.losses import CMIMLoss
from cmim_mm.models.memory import MemoryBank
from cmim_mm.registry import HOOKS


@HOOKS.register_module()
class MemoryBankHook(Hook):
    """Allocates every ``MemoryBank`` of the model by the training data set, and checks what was resumed.

    A resumed run goes on with the checkpoint's rows and normalizers. What starts from a checkpoint by
    ``load_from`` alone keeps its own new ones: the checkpoint's belong to another run's images. A test
    allocates none.

    Raises:
        ValueError: The data set's size contradicts the config's ``num_rows`` or the resumed rows, or its
            images have no identity of their own.
    """
    priority = 'VERY_HIGH'  # before EMAHook copies the model, and before it loads a checkpoint

    def before_run(self, runner: Runner) -> None:
        if not isinstance(runner._train_loop, BaseLoop):  # a test or a validation
            return
        for name, memory in _find(runner, MemoryBank):
            if memory.kind == 'bank':
                images = _count_images(runner.train_dataloader.dataset)
                if memory.num_rows not in (None, images):
                    raise ValueError(
                        f'{name}: num_rows={memory.num_rows} in the config, but the training data set has '
                        f'{images} images. Leave num_rows out: the data set decides.')
                memory.num_rows = images
                memory.allocate(images)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        if not runner._resume:
            for name, module in _find(runner, (MemoryBank, CMIMLoss)):
                checkpoint.get('state_dict', checkpoint).update(module.state_dict(prefix=f'{name}.'))

    def before_train(self, runner: Runner) -> None:
        for name, memory in _find(runner, MemoryBank):
            rows = len(memory.latent)
            if memory.kind != 'batch' and rows != memory.num_rows:
                other = 'the training data set has' if memory.kind == 'bank' else 'the config asks for'
                raise ValueError(
                    f'{name}: the resumed checkpoint has {rows} rows, but {other} {memory.num_rows}. Resume '
                    'with the data and the config of that run, or start a new run from its weights: '
                    'load_from=CHECKPOINT without --resume.')


def _find(runner: Runner, types: 'type | tuple[type, ...]') -> 'list[tuple[str, MemoryBank | CMIMLoss]]':
    return [(name, module) for name, module in bare_model(runner).named_modules()
            if isinstance(module, types)]


def _count_images(dataset: Dataset) -> int:
    while hasattr(dataset, 'dataset'):  # wrappers: sample_idx counts the images inside
        dataset = dataset.dataset
    if isinstance(dataset, ConcatDataset):
        raise ValueError(
            'MemoryBankHook: in a ConcatDataset images of different parts share one sample_idx, so a bank '
            "cannot tell them apart. Use memory.kind='queue' or 'batch'.")
    return len(dataset)
