"""What belongs to one run of CMIM: banks for its images, and nothing that another run left."""
import zlib
from collections.abc import Iterator

from mmengine.hooks import Hook
from mmengine.runner import BaseLoop, Runner
from torch import nn
from torch.utils.data import ConcatDataset, Dataset

from cmim_mm.engine.bare_model import bare_model
from cmim_mm.models.memories import Bank, Memory
from cmim_mm.registry import HOOKS

#: Images whose names and classes stand for a data set.
LOOKED_AT = 64


@HOOKS.register_module()
class MemoryBankHook(Hook):
    """Allocates every ``Bank`` of the model by the training data set, and checks what was resumed.

    A resumed run goes on with the checkpoint's rows, normalizers and average, if they are of this run's
    memory, data and embedding. Through any other door (``load_from``, ``init_cfg``) a checkpoint gives
    weights alone: every module with a method ``restart`` begins anew. A test allocates nothing.

    Raises:
        ValueError: What was resumed belongs to another memory, data set or embedding, or the data set's
            images have no identity of their own.
    """
    priority = 'VERY_HIGH'  # before EMAHook copies the model, and before it loads a checkpoint

    def before_run(self, runner: Runner) -> None:
        if not isinstance(runner._train_loop, BaseLoop):  # a test or a validation
            return
        for memory in _find(runner, Memory):
            dataset = runner.train_dataloader.dataset
            if isinstance(memory, Bank):
                memory.allocate(_count_images(dataset))
            memory.origin['data'] = _describe(dataset)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        if not runner._resume:  # EMAHook copies what is in the checkpoint
            for name, module in bare_model(runner).named_modules():
                if hasattr(module, 'restart'):
                    checkpoint.get('state_dict', checkpoint).update(module.state_dict(prefix=f'{name}.'))

    def before_train(self, runner: Runner) -> None:
        if runner.iter == 0:
            for module in _find(runner, nn.Module):
                if isinstance(module, Bank):  # a checkpoint's rows may be of another number
                    module.allocate(_count_images(runner.train_dataloader.dataset))
                elif hasattr(module, 'restart'):
                    module.restart()
        for memory in _find(runner, Memory):
            memory.check_origin()


def _find(runner: Runner, wanted: type) -> Iterator[nn.Module]:
    return (module for module in bare_model(runner).modules() if isinstance(module, wanted))


def _innermost(dataset: Dataset) -> Dataset:
    while hasattr(dataset, 'dataset'):  # wrappers: sample_idx counts the images inside
        dataset = dataset.dataset
    return dataset


def _count_images(dataset: Dataset) -> int:
    dataset = _innermost(dataset)
    if isinstance(dataset, ConcatDataset):
        raise ValueError(
            'MemoryBankHook: in a ConcatDataset images of different parts share one sample_idx, so a bank '
            "cannot tell them apart. Use memory.type='Queue' or 'InBatch'.")
    return len(dataset)


def _describe(dataset: Dataset) -> str:
    """Kind and number of the images, and a checksum of some of their names and classes (not of folders)."""
    dataset = _innermost(dataset)
    text = f'{type(dataset).__name__}, {len(dataset)} images'
    if not hasattr(dataset, 'get_data_info'):
        return text
    step = max(1, len(dataset) // LOOKED_AT)
    infos = [dataset.get_data_info(i) for i in range(0, len(dataset), step)]
    seen = [(str(info.get('img_path', '')).rsplit('/', 1)[-1], info.get('gt_label')) for info in infos]
    return f'{text}, checksum {zlib.crc32(repr(seen).encode()):08x}'
