"""tools/test.py: figures, saved and painted predictions, test-time augmentation, for both tasks."""
import shutil

import cv2
import numpy as np
import pytest
from mmengine.config import Config

from cmim_mm.checkpoint import CheckpointError
from cmim_mm.datasets.layout import read_list
from cmim_mm.engine import cli

TASKS = ['seg', 'depth']


@pytest.fixture(scope='module')
def trained(tool, repository, rooms_root, tiny_options, tmp_path_factory):
    """Task -> arguments of test.py: config, checkpoint, data, options."""
    def arguments(task):
        config = str(repository / f'configs/nyud_{task}_bnn.py')
        work_dir = tmp_path_factory.mktemp(task)
        data = ['--data-root', str(rooms_root), '--work-dir', str(work_dir), *tiny_options]
        tool('train.py').main([config, *data])
        return [config, str(work_dir / 'iter_2.pth'), *data]
    return {task: arguments(task) for task in TASKS}


@pytest.fixture(scope='module')
def tester(tool):
    return tool('test.py')


@pytest.mark.parametrize('task, metric', [('seg', 'mIoU'), ('depth', 'pixel/rmse')])
@pytest.mark.parametrize('tta', [[], ['--tta']])
def test_prints_figures_and_saves_predictions(
        tester, trained, task, metric, tta, rooms_root, tmp_path, capsys):
    out, shown = tmp_path / 'out', tmp_path / 'shown'
    tester.main([*trained[task], '--out', str(out), '--show-dir', str(shown), *tta])
    printed = capsys.readouterr().out
    table = [line for line in printed.splitlines() if line.startswith(f'| {metric} ')]
    assert len(table) == 1 and np.isfinite(float(table[0].split('|')[2]))

    names = read_list(rooms_root / 'test.txt')
    assert names and {p.stem for p in out.iterdir()} == set(names)
    saved = cv2.imread(str(out / f'{names[0]}.png'), cv2.IMREAD_UNCHANGED)
    assert saved.shape == (64, 96)
    if task == 'seg':
        assert saved.dtype == np.uint8 and saved.min() >= 1 and saved.max() <= 40  # as label40/ counts
    else:
        assert saved.dtype == np.uint16 and saved.min() > 0 and saved.max() <= 10000  # mm; at most 10 m
    assert sorted(p.name for p in shown.iterdir()) == [f'{i:04d}_{name}.png' for i, name in enumerate(names)]
    assert f'{len(names)} of {len(names)} images painted in {shown}' in printed


def test_saved_labels_give_the_printed_accuracy(tester, trained, rooms_root, tmp_path, capsys):
    tester.main([*trained['seg'], '--out', str(tmp_path)])
    line = next(x for x in capsys.readouterr().out.splitlines() if x.startswith('| aAcc '))
    right = total = 0
    for name in read_list(rooms_root / 'test.txt'):
        truth = cv2.imread(str(rooms_root / f'label40/{name}.png'), cv2.IMREAD_UNCHANGED)
        saved = cv2.imread(str(tmp_path / f'{name}.png'), cv2.IMREAD_UNCHANGED)
        right += (saved == truth)[truth > 0].sum()
        total += (truth > 0).sum()
    assert float(line.split('|')[2]) == pytest.approx(100 * right / total, abs=0.006)


@pytest.fixture(scope='module')
def mixed_root(rooms_root, tmp_path_factory):
    """The rooms, cut to sizes of their own."""
    root = tmp_path_factory.mktemp('mixed') / 'rooms'
    shutil.copytree(rooms_root, root)
    for folder in ('image', 'label40', 'depth', 'raw_depth'):
        for i, path in enumerate(sorted((root / folder).iterdir())):
            cv2.imwrite(str(path), cv2.imread(str(path), -1)[:64 - 8 * (i % 3), :96 - 9 * (i % 2)])
    (root / 'test.txt').write_text('0001\n0002\n0004\n0006\n0008\n')
    (root / 'train.txt').write_text('0003\n0005\n0007\n')
    return root


@pytest.mark.parametrize('task', TASKS)
@pytest.mark.parametrize('tta', [[], ['--tta']])
def test_mixed_sizes_give_the_figures_of_one_by_one(tester, trained, task, tta, mixed_root, capsys):
    def table(batch_size):
        arguments = [str(mixed_root) if value == last else value for value in trained[task]]
        tester.main([*arguments, f'test_dataloader.batch_size={batch_size}', *tta])
        lines = capsys.readouterr().out.rpartition('| metric')[2].splitlines()[2:]
        rows = [line.split('|')[1:3] for line in lines if line]
        return {name.strip(): float(value) for name, value in rows}

    last = trained[task][trained[task].index('--data-root') + 1]
    together, alone = table(8), table(1)
    assert together == pytest.approx(alone, rel=2e-3, abs=2e-3) and len(alone) >= 3


def test_missing_checkpoint_names_those_there(tester, trained):
    config, checkpoint, *rest = trained['seg']
    with pytest.raises(cli.ToolError, match=r'iter_9\.pth: there is no such .* are .*iter_2\.pth'):
        tester.main([config, checkpoint.replace('iter_2', 'iter_9'), *rest])


def test_checkpoint_of_another_task_is_refused(tester, trained):
    config, _, *rest = trained['seg']
    _, checkpoint, *_ = trained['depth']
    message = r'does not fit the EncoderDecoder of this config: .*missing: decode_head'
    with pytest.raises(CheckpointError, match=message):
        tester.main([config, checkpoint, *rest])


def test_tta_and_painting_need_their_parts(tester):
    cfg = Config({'tta_model': {}, 'default_hooks': {}})
    with pytest.raises(cli.ToolError, match='--tta needs tta_pipeline in the config'):
        tester.set_tta(cfg)
    with pytest.raises(cli.ToolError, match='SegVisualizationHook'):
        tester.set_painting(cfg, show=False, show_dir='d', wait_time=0)
    cfg.default_hooks.visualization = dict(type='SegVisualizationHook')
    with pytest.raises(cli.ToolError, match='--show-number 0: expected at least 1'):
        tester.set_painting(cfg, show=False, show_dir='d', wait_time=0, number=0)
    tester.set_painting(cfg, show=True, show_dir='d', wait_time=3, number=5)
    assert cfg.default_hooks.visualization == dict(
        type='cmim_mm.PaintHook', out_dir='d', number=5, show=True, wait_time=3)
