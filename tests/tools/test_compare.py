"""tools/compare.py."""
import json

import pytest
from fake_cifar import write_cifar100
from in_process import InProcess

from cmim_mm.engine.cli import ToolError

OPTIONS = ['--cfg-options', 'train_cfg.max_iters=1', 'train_cfg.val_interval=1',
           'train_dataloader.batch_size=4', 'default_hooks.checkpoint.interval=1']


@pytest.fixture
def compare(tool):
    return tool('compare.py')


@pytest.fixture
def config(repository):
    return str(repository / 'configs/pretrain/r20_cifar100_quick.py')


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp('cifar')
    write_cifar100(folder)
    return str(folder)


@pytest.fixture
def trainings(monkeypatch):
    """The runs that would have been carried out; those of BNN fail."""
    found = []

    def job(entry, folder, tools):
        found.append(entry)
        if 'BNN' in entry['encoder']:
            raise RuntimeError('diverged')
        seed = 0.1 * entry['seed']
        return {'metrics': {'accuracy/top1': (41.0 if 'IRNet' in entry['encoder'] else 60.0) + seed}}

    monkeypatch.setattr('cmim_mm.benchmark.tool.make_executor',
                        lambda args, tools: InProcess(args.work_dir, job))
    return found


def test_table_of_trainings(compare, config, data, trainings, tmp_path, capsys):
    arguments = [config, '--vary', 'model.backbone.binarizer=IRNet,None', '--seeds', '0', '1', '--work-dir',
                 str(tmp_path), '--data-root', data, '--cfg-options', 'train_cfg.max_iters=3']
    compare.main(arguments)
    assert len(trainings) == 4
    run = tmp_path / trainings[1]['config']
    assert run.parent.name == 'seed1' and 'max_iters=3' in run.read_text() and data in run.read_text()
    table = (tmp_path / 'results.md').read_text()
    assert '| r20_cifar100_quick binarizer=IRNet | -    | 100 %  | 2     | 41.05 ± 0.071 |' in table
    assert '+19 [+19, +19] [-], no difference shown: not paired by images' in table
    assert table.strip() in capsys.readouterr().out and 'torch' in table and '--seeds 0 1' in table

    compare.main(arguments)
    assert len(trainings) == 4  # nothing is trained twice


def test_what_fails_does_not_stop_the_rest(compare, config, data, trainings, tmp_path):
    arguments = [config, '--vary', 'model.backbone.binarizer=BNN,IRNet', '--work-dir', str(tmp_path),
                 '--data-root', data]
    with pytest.raises(ToolError, match=r'1 failed \(--retry tries them again\): .*BNN/seed0'):
        compare.main(arguments)
    assert 'failed: RuntimeError: diverged' in (tmp_path / 'results.md').read_text() and len(trainings) == 2
    with pytest.raises(ToolError, match='1 failed'):
        compare.main([*arguments, '--retry'])
    assert len(trainings) == 3


@pytest.mark.parametrize('arguments, message', [
    (['no.py'], 'no such config'), (['{config} lr'], 'KEY=VALUE'), (['ours:{config}'], '[LABEL: ]CONFIG'),
    *((['{config}', '--jobs', jobs], 'whole number from 1') for jobs in ('x', '0', '-1', '1.5')),
    *((['{config}', '--vary', vary], 'KEY=VALUE') for vary in ('lr', 'lr=1,,2', '=1'))])
def test_mistakes(compare, config, arguments, message, capsys):
    with pytest.raises(SystemExit):
        compare.main([argument.format(config=config) for argument in arguments])
    assert message in capsys.readouterr().err


def test_a_metric_that_no_run_has(compare, config, data, trainings, tmp_path):
    compare.main([config, '--work-dir', str(tmp_path), '--data-root', data, '--metrics', 'acuracy/top1'])
    assert '--metrics acuracy/top1: no run measured it; they measured accuracy/top1.' in (
        tmp_path / 'results.md').read_text()


def test_another_grid_in_the_folder(compare, config, data, trainings, tmp_path):
    arguments = [config, '--work-dir', str(tmp_path), '--data-root', data]
    compare.main(arguments)
    with pytest.raises(ToolError, match='was started with another grid or other options'):
        compare.main([*arguments, '--cfg-options', 'train_cfg.max_iters=9'])


def test_a_real_training(compare, config, data, tmp_path):
    compare.main([config, '--work-dir', str(tmp_path), '--data-root', data, *OPTIONS])
    record, = map(json.loads, (tmp_path / 'results.jsonl').read_text().splitlines())
    assert 0 <= record['metrics']['accuracy/top1'] <= 100 and record['cost']['bops'] > 0
    assert [step for step, _ in record['curves']['accuracy/top1']] == [1]
    run = tmp_path / 'runs' / record['run']
    assert (run / 'checkpoint.pth').is_file() and not list(run.glob('iter_*.pth'))
