"""Whether a model's heads have an output for every label of the data."""
from collections.abc import Iterator

from mmseg.models import DepthEstimator
from torch import nn

from cmim_mm.data_error import DataError
from cmim_mm.datasets.check import leaf_datasets


def check_num_classes(model: nn.Module, dataset) -> None:
    """Refuses labels without an output, which cross-entropy would meet with an IndexError, or a GPU's assert.

    Args:
        model: A segmentor or classifier: heads ``decode_head`` and ``auxiliary_head`` with ``num_classes``.
            Others, and depth, are passed over.
        dataset: The training data set, wrapped or not, with ``metainfo['classes']``.

    Raises:
        DataError: ``num_classes`` is too small; says what to set.
    """
    if isinstance(model, DepthEstimator):
        return
    for leaf in leaf_datasets(dataset):
        count = len((getattr(leaf, 'metainfo', None) or {}).get('classes') or ())
        for name, head in _heads(model):
            if head.num_classes < count:
                where = getattr(leaf, 'ann_file', '') or getattr(leaf, 'data_root', '') or type(leaf).__name__
                raise DataError(
                    f'{where}: its labels are of {count} classes, 0 to {count - 1}, but '
                    f'model.{name}.num_classes is {head.num_classes}. Set it to {count}, or keep '
                    'fewer classes in the data set')


def _heads(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    for name in ('decode_head', 'auxiliary_head'):
        head = getattr(model, name, None)
        if isinstance(head, nn.ModuleList):
            yield from ((f'{name}.{i}', h) for i, h in enumerate(head) if hasattr(h, 'num_classes'))
        elif hasattr(head, 'num_classes'):
            yield name, head
