"""cli: what the user's mistakes look like, and that bugs keep their traceback."""
from argparse import ArgumentParser
from pathlib import Path

import pytest
from mmengine.config import Config
from mmseg.registry import DATASETS, MODELS
from torch._utils import ExceptionWrapper

from cmim_mm.datasets.layout import DataError
from cmim_mm.engine import cli

CONFIG = '''
model = dict(type='EncoderDecoder', backbone=dict(depth=18))
optim_wrapper = dict(type='OptimWrapper')
train_dataloader = dict(
    dataset=dict(type='Wrapper', dataset=dict(type='NYUDSegDataset', data_root='data/nyud')))
'''


@pytest.fixture
def load(tmp_path):
    (tmp_path / 'nyud_seg.py').write_text(CONFIG)

    def load(*argv, config='nyud_seg.py'):
        parser = ArgumentParser()
        cli.add_config_arguments(parser)
        cli.add_runner_arguments(parser)
        return cli.load_config(cli.parse_args(parser, [str(tmp_path / config), *argv]))
    return load


def test_arguments_land_in_the_config(load, tmp_path):
    cfg = load('--cfg-options', 'model.backbone.depth=34', 'train_cfg.max_iters=3',
               '--data-root', 'elsewhere', '--work-dir', 'w')
    assert cfg.model.backbone.depth == 34 and cfg.train_cfg.max_iters == 3
    assert cfg.train_dataloader.dataset.dataset.data_root == 'elsewhere'
    assert cfg.work_dir == 'w'


def test_work_dir_is_named_after_the_config_unless_it_says(load, tmp_path):
    assert load().work_dir == 'work_dirs/nyud_seg'
    (tmp_path / 'own.py').write_text(CONFIG + "work_dir = 'mine'")
    assert load(config='own.py').work_dir == 'mine'


def test_missing_config_lists_close_ones(load, tmp_path):
    with pytest.raises(cli.ToolError, match=r'nyud_sge\.py: there is no such .* mean .*nyud_seg\.py'):
        load(config='nyud_sge.py')


def test_broken_config_is_named(load, tmp_path):
    (tmp_path / 'broken.py').write_text('model = dict(')
    with pytest.raises(cli.ToolError, match=r'broken\.py cannot be read as a config: SyntaxError'):
        load(config='broken.py')


@pytest.mark.parametrize('option, message', [
    ('optim_wraper.clip=1', "no 'optim_wraper'; did you mean 'optim_wrapper'"),
    ('model.type.name=1', '--cfg-options does not fit'),
])
def test_options_that_do_not_fit(load, option, message):
    with pytest.raises(cli.ToolError, match=message):
        load('--cfg-options', option)


@pytest.mark.parametrize('option', ['randomness.seed=1', 'load_from=a.pth', 'compile=True'])
def test_keys_of_the_runner_may_be_new(load, option):
    assert option.split('=')[0].split('.')[0] in load('--cfg-options', option)


def test_option_without_value_is_an_argument_error(load, capsys):
    with pytest.raises(SystemExit) as end:
        load('--cfg-options', 'model.depth')
    assert end.value.code == 2
    assert "expected KEY=VALUE, got 'model.depth'" in capsys.readouterr().err


def test_data_root_without_a_data_set(load, tmp_path):
    (tmp_path / 'empty.py').write_text('model = dict()')
    with pytest.raises(cli.ToolError, match=r'empty\.py: no data set'):
        load('--data-root', 'here', config='empty.py')


def end_of(function, capsys):
    """(exit status, stderr) of a tool."""
    with pytest.raises(SystemExit) as end:
        cli.run(function)
    return end.value.code, capsys.readouterr().err


def build(**cfg):
    return lambda: MODELS.build(cfg)


@pytest.mark.parametrize('function, message', [
    (build(type='NoSuchHead'), 'NoSuchHead is not in the'),
    (build(type='CrossEntropyLoss', use_sigmod=True), "type='CrossEntropyLoss' cannot be built"),
    (lambda: DATASETS.build({'type': 'cmim_mm.NYUDSegDataset', 'num_classes': 7}), 'num_classes is 7'),
    (lambda: Path('no_such_file').read_text(), 'no_such_file'),
])
def test_mistakes_end_in_one_message(function, message, capsys):
    status, err = end_of(function, capsys)
    assert status == 1
    assert err.startswith('error: ') and message in err and 'Traceback' not in err


def test_data_error_of_a_worker_is_as_short_as_in_the_main_process(capsys):
    message = '0007.png: labels out of range.\nConvert again.'
    try:
        raise DataError(message)
    except DataError:
        sent = ExceptionWrapper(where='in DataLoader worker process 0')
    assert end_of(sent.reraise, capsys) == (1, f'error: {message}\n')


@pytest.mark.parametrize('bug', [ValueError('x'), TypeError('y'), RuntimeError('z'), AssertionError()])
def test_bugs_keep_their_traceback(bug):
    def main():
        raise bug
    with pytest.raises(type(bug)):
        cli.run(main)


def test_missing_folder_speaks_through_its_data_set():
    dataset = {'type': 'cmim_mm.NYUDSegDataset', 'data_root': 'no/data', 'pipeline': []}
    cfg = Config({'train_dataloader': {'dataset': {'type': 'W', 'dataset': dataset}}, 'val_dataloader': None})
    with pytest.raises(DataError, match="No data in 'no/data'"):
        cli.check_data_roots(cfg, 'train_dataloader', 'val_dataloader')
    cli.check_data_roots(cfg, 'val_dataloader')


def test_table_is_aligned_markdown():
    assert cli.format_table(['metric', 'value'], [['mIoU', 12.34567], ['skipped', 0]]).splitlines() == [
        '| metric  | value |',
        '|---------|-------|',
        '| mIoU    | 12.35 |',
        '| skipped | 0     |',
    ]
