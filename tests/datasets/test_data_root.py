"""One place sets the data."""
import pytest
from mmengine.config import Config

from cmim_mm.datasets.data_root import dataset_cfgs, set_data_root


def test_reaches_every_data_set_through_wrappers_and_lists():
    seg = dict(type='cmim_mm.NYUDSegDataset', data_root='old')
    cfg = Config(dict(
        data_root='old',
        train_dataloader=dict(dataset=dict(type='cmim_mm.SeededDataset', dataset=dict(
            type='ConcatDataset', datasets=[dict(type='RepeatDataset', times=2, dataset=seg),
                                            dict(type='cmim_mm.NYUDDepthDataset')]))),
        val_dataloader=[dict(dataset=seg), dict(dataset=dict(type='Other', data_root='old'))],
        test_dataloader=None,
        model=dict(data_root='untouched'),
        val_evaluator=dict(type='IoUMetric')))
    set_data_root(cfg, 'new')
    assert [d['data_root'] for d in dataset_cfgs(cfg)] == ['new'] * 4
    assert cfg.train_dataloader.dataset.dataset.datasets[0].dataset.data_root == 'new'
    assert cfg.val_dataloader[1].dataset.data_root == cfg.data_root == 'new'
    assert cfg.model.data_root == 'untouched' and 'data_root' not in cfg.train_dataloader.dataset


def test_leaves_data_sets_without_a_root_alone():
    cfg = Config(dict(train_dataloader=dict(dataset=dict(type='Random')),
                      val_dataloader=dict(dataset=dict(type='NYUDSegDataset'))))
    set_data_root(cfg, 'new')
    assert cfg.val_dataloader.dataset.data_root == 'new' and 'data_root' not in cfg.train_dataloader.dataset


@pytest.mark.parametrize('cfg', [{}, dict(train_dataloader=dict(dataset=dict(type='Random')))])
def test_nothing_to_set_is_an_error(cfg):
    with pytest.raises(ValueError, match='no data set in .* has a data_root'):
        set_data_root(Config(cfg), 'new')
