"""Labels without an output are refused before the first step."""
from types import SimpleNamespace

import pytest
from mmengine.config import Config
from mmengine.dataset import ConcatDataset
from mmengine.registry import MODELS, init_default_scope
from torch import nn

from cmim_mm.data_error import DataError
from cmim_mm.datasets import NYUDDepthDataset, NYUDSegDataset, SeededDataset
from cmim_mm.engine import CheckDatasetHook
from cmim_mm.engine.num_classes import check_num_classes


def heads(decode, *auxiliary):
    model = nn.Module()
    model.decode_head = nn.Identity()
    model.decode_head.num_classes = decode
    model.auxiliary_head = nn.ModuleList(nn.Identity() for _ in auxiliary)
    for head, count in zip(model.auxiliary_head, auxiliary):
        if count is not None:
            head.num_classes = count
    return model


@pytest.mark.parametrize('model, number, fault', [
    (heads(40), 40, None), (heads(41), 40, None), (heads(13), 13, None), (heads(40, None, 40), 40, None),
    (heads(39), 40, 'train.txt: .* of 40 classes, 0 to 39, but model.decode_head.num_classes is 39'),
    (heads(40, None, 13), 40, r'model.auxiliary_head.1.num_classes is 13. Set it to 40'),
    (heads(12), 13, 'num_classes is 12. Set it to 13'),
])
def test_segmentation(rooms_root, model, number, fault):
    seg = NYUDSegDataset(data_root=str(rooms_root), num_classes=number)
    dataset = SeededDataset(ConcatDataset([seg, seg]))
    if fault is None:
        check_num_classes(model, dataset)
    else:
        with pytest.raises(DataError, match=fault):
            check_num_classes(model, dataset)


def test_classes_kept_count(rooms_root):
    some = NYUDSegDataset(data_root=str(rooms_root), metainfo=dict(classes=('wall', 'floor')))
    check_num_classes(heads(2), some)
    with pytest.raises(DataError, match='of 2 classes, 0 to 1'):
        check_num_classes(heads(1), some)


def test_other_data_are_passed_over():
    check_num_classes(heads(3), [1, 2])
    check_num_classes(nn.Identity(), SimpleNamespace(metainfo=dict(classes=('a', 'b'))))
    small = SimpleNamespace(metainfo=dict(classes=('a', 'b')))
    with pytest.raises(DataError, match='SimpleNamespace: its labels are of 2 classes'):
        check_num_classes(heads(1), small)


@pytest.mark.parametrize('task, fits', [('seg', False), ('depth', True)])
def test_the_hook_looks_before_the_first_step(rooms_root, repository, task, fits):
    init_default_scope('mmseg')
    cfg = Config.fromfile(repository / f'configs/nyud_{task}_bnn.py')
    if task == 'seg':
        cfg.model.decode_head.num_classes = 13
    kind = NYUDSegDataset if task == 'seg' else NYUDDepthDataset
    loop = SimpleNamespace(dataloader=SimpleNamespace(dataset=SeededDataset(kind(data_root=str(rooms_root)))))
    runner = SimpleNamespace(model=MODELS.build(cfg.model), train_loop=loop)
    if fits:
        CheckDatasetHook().before_train_epoch(runner)
    else:
        with pytest.raises(DataError, match='num_classes is 13'):
            CheckDatasetHook().before_train_epoch(runner)
