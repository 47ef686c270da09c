"""tools/compare.py."""
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from fake_cifar import write_cifar100

from cmim_mm.engine.cli import ToolError


@pytest.fixture
def compare(tool):
    return tool('compare.py')


@pytest.fixture
def config(repository):
    return str(repository / 'configs/pretrain/r20_cifar100_quick.py')


@pytest.fixture
def trainings(compare, monkeypatch):
    """The commands that would have trained; the variant with BNN fails."""
    commands = []

    def fake(command, **_):
        commands.append(command)
        log = Path(command[command.index('--work-dir') + 1]) / 'now/vis_data/scalars.json'
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(json.dumps({'accuracy/top1': 40.0 + len(commands), 'step': 1}))
        return SimpleNamespace(returncode=int('model.backbone.binarizer=BNN' in command))

    monkeypatch.setattr(compare.subprocess, 'run', fake)
    return commands


def test_table_of_trainings(compare, config, trainings, tmp_path, capsys):
    arguments = [config, '--vary', 'model.backbone.binarizer=IRNet,None', '--seeds', '0', '1', '--work-dir',
                 str(tmp_path), '--data-root', 'there', '--cfg-options', 'train_cfg.max_iters=3']
    compare.main(arguments)
    assert len(trainings) == 4
    assert trainings[1][-3:] == [
        'train_cfg.max_iters=3', 'model.backbone.binarizer=IRNet', 'randomness.seed=1']
    assert '--resume' in trainings[0] and trainings[0][trainings[0].index('--data-root') + 1] == 'there'
    table = (tmp_path / 'table.md').read_text()
    assert '| r20_cifar100_quick binarizer=IRNet | 41.5 ± 0.71   | 2     |' in table
    assert table.strip() in capsys.readouterr().out and 'torch' in table and '--seeds 0 1' in table

    compare.main(arguments)
    assert len(trainings) == 4  # nothing is trained twice


def test_what_fails_does_not_stop_the_rest(compare, config, trainings, tmp_path):
    arguments = [config, '--vary', 'model.backbone.binarizer=BNN,IRNet', '--work-dir', str(tmp_path)]
    with pytest.raises(ToolError, match='1 of 2 trainings failed'):
        compare.main(arguments)
    assert 'failed' in (tmp_path / 'table.md').read_text() and len(trainings) == 2


@pytest.mark.parametrize('arguments, message', [
    (['no.py'], 'no such config'), (['{config} lr'], 'KEY=VALUE'),
    *((['{config}', '--vary', vary], 'KEY=VALUE') for vary in ('lr', 'lr=1,,2', '=1'))])
def test_mistakes(compare, config, arguments, message, capsys):
    with pytest.raises(SystemExit):
        compare.main([argument.format(config=config) for argument in arguments])
    assert message in capsys.readouterr().err


def test_a_real_training(compare, config, tmp_path, repository, monkeypatch):
    monkeypatch.setenv('PYTHONPATH', str(repository))
    write_cifar100(tmp_path / 'data')
    compare.main([config, '--work-dir', str(tmp_path / 'out'), '--data-root', str(tmp_path / 'data'),
                  '--cfg-options', 'train_cfg.max_iters=1', 'train_cfg.val_interval=1',
                  'train_dataloader.batch_size=4', 'default_hooks.checkpoint.interval=1'])
    result = json.loads(next((tmp_path / 'out').rglob('result.json')).read_text())
    assert result['step'] == 1 and 0 <= result['metrics']['accuracy/top1'] <= 100
