"""tools/train.py and the launch scripts."""
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from cmim_mm.engine import cli


@pytest.fixture(scope='module')
def train(tool):
    return tool('train.py')


def checkpoints(work_dir):
    return sorted(p.name for p in Path(work_dir).glob('iter_*.pth'))


@pytest.mark.parametrize('task', ['seg', 'depth'])
def test_trains_and_resumes(train, task, repository, rooms_root, tiny_options, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = str(repository / f'configs/nyud_{task}_bnn.py')
    arguments = [config, '--data-root', str(rooms_root), *tiny_options]
    train.main(arguments)
    work_dir = Path('work_dirs') / f'nyud_{task}_bnn'
    assert (work_dir / 'last_checkpoint').read_text().strip().endswith('iter_2.pth')
    assert checkpoints(work_dir) == ['iter_1.pth', 'iter_2.pth']
    more = [*arguments, 'train_cfg.max_iters=3', '--work-dir', 'again']
    train.main([*more, '--resume', str(work_dir / 'iter_2.pth')])
    assert checkpoints('again') == ['iter_3.pth']  # from the start it would save the earlier ones too


def test_resume_without_value_takes_the_latest_checkpoint(train, tmp_path):
    cfg = Config({'work_dir': str(tmp_path), 'load_from': 'pretrained.pth'})
    train.set_resume(cfg, 'auto')
    assert not cfg.resume and cfg.load_from == 'pretrained.pth'  # nothing there yet: starts as configured
    (tmp_path / 'last_checkpoint').write_text('iter_2.pth')
    train.set_resume(cfg, 'auto')
    assert cfg.resume and cfg.load_from is None
    assert train.make_parser().parse_args(['c.py', '--resume']).resume == 'auto'
    assert train.make_parser().parse_args(['c.py', '--resume', 'a.pth']).resume == 'a.pth'


def test_amp(train, monkeypatch):
    cfg = Config({'optim_wrapper': {'type': 'OptimWrapper'}})
    for device, bfloat16, expected in (
            ('cpu', False, {'type': 'cmim_mm.CPUAmpOptimWrapper'}),
            ('cuda', True, {'type': 'AmpOptimWrapper', 'dtype': 'bfloat16', 'loss_scale': 1.0}),
            ('cuda', False, {'type': 'AmpOptimWrapper', 'dtype': 'float16', 'loss_scale': 'dynamic'})):
        monkeypatch.setattr(train, 'get_device', lambda device=device: device)
        monkeypatch.setattr(torch.cuda, 'is_bf16_supported', lambda bfloat16=bfloat16: bfloat16)
        cfg.optim_wrapper = {'type': 'OptimWrapper'}
        train.set_amp(cfg)
        assert dict(cfg.optim_wrapper) == expected
        train.set_amp(cfg)  # again: nothing to do
        assert dict(cfg.optim_wrapper) == expected
    cfg.optim_wrapper.type = 'ApexOptimWrapper'
    with pytest.raises(cli.ToolError, match='ApexOptimWrapper'):
        train.set_amp(cfg)


def test_amp_trains_on_a_cpu(train, repository, rooms_root, tiny_options, tmp_path):
    if torch.cuda.is_available():
        pytest.skip('for machines without a GPU')
    train.main([str(repository / 'configs/nyud_seg_bnn.py'), '--data-root', str(rooms_root), '--amp',
                '--work-dir', str(tmp_path), *tiny_options])
    assert torch.load(tmp_path / 'iter_2.pth', weights_only=True)['meta']['iter'] == 2


def run_train(repository, cwd, *arguments):
    return subprocess.run(
        [sys.executable, str(repository / 'tools/train.py'), *map(str, arguments)], cwd=cwd,
        capture_output=True, text=True, env={**os.environ, 'PYTHONPATH': str(repository)})


def test_without_data_says_in_three_lines_how_to_get_some(repository, tmp_path):
    done = run_train(repository, tmp_path, repository / 'configs/nyud_seg_bnn.py')
    assert done.returncode == 1 and done.stdout == ''
    lines = done.stderr[done.stderr.index('error: '):].splitlines()
    assert len(lines) == 3 and 'nyud.py' in lines[1] and 'rooms.py' in lines[2]
    assert 'Traceback' not in done.stderr
    assert list(tmp_path.iterdir()) == []


class Hostile:
    def __reduce__(self):
        return os.system, ('touch executed',)


def test_hostile_checkpoint_ends_with_a_message(repository, rooms_root, tmp_path, tiny_options):
    torch.save({'state_dict': {}, 'meta': Hostile()}, tmp_path / 'hostile.pth')
    done = run_train(repository, tmp_path, repository / 'configs/nyud_seg_bnn.py', '--data-root', rooms_root,
                     '--resume', 'hostile.pth', *tiny_options)
    assert done.returncode == 1
    assert 'error: ' in done.stderr and 'hostile.pth' in done.stderr and 'Traceback' not in done.stderr
    assert not (tmp_path / 'executed').exists()


@pytest.mark.parametrize('option, message', [
    ('model.backbone.dephts=18', 'dephts'),
    ('model.backbone.type=ResNoNet', 'ResNoNet is not in the'),
    ('model.backbone.depth=19', '19'),
])
def test_bad_option_ends_with_a_message(train, option, message, repository, rooms_root, tmp_path, capsys):
    with pytest.raises(SystemExit) as end:
        cli.run(lambda: train.main([
            str(repository / 'configs/nyud_seg_bnn.py'), '--data-root', str(rooms_root),
            '--work-dir', str(tmp_path), '--cfg-options', option]))
    assert end.value.code == 1
    assert message in capsys.readouterr().err


@pytest.fixture
def echo(tmp_path):
    """A program that writes its arguments, one a line, instead of doing anything."""
    program = tmp_path / 'srun'
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    program.chmod(0o755)
    return program


@pytest.mark.parametrize('script, positional, command', [
    ('dist_train.sh', ['c.py', '2'], ['--nproc_per_node=2', 'train.py', 'c.py', '--launcher', 'pytorch']),
    ('dist_test.sh', ['c.py', 'a.pth', '2'],
     ['--nproc_per_node=2', 'test.py', 'c.py', 'a.pth', '--launcher', 'pytorch']),
    ('slurm_train.sh', ['part', 'job', 'c.py'], ['train.py', 'c.py', '--launcher', 'slurm']),
    ('slurm_test.sh', ['part', 'job', 'c.py', 'a.pth'], ['test.py', 'c.py', 'a.pth', '--launcher', 'slurm']),
])
def test_launch_scripts(script, positional, command, repository, echo):
    environment = {**os.environ, 'PATH': f'{echo.parent}:{os.environ["PATH"]}'}
    if script.startswith('dist'):
        environment['PYTHON'] = str(echo)
    done = subprocess.run(
        ['bash', str(repository / 'tools' / script), *positional, '--cfg-options', 'a="[1, 2]"'],
        env=environment, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    given = [Path(line).name if line.endswith('.py') else line for line in lines]
    assert all(part in given for part in command)
    assert lines[-2:] == ['--cfg-options', 'a="[1, 2]"']  # a value with white space stays one argument
    assert os.access(repository / 'tools' / script, os.X_OK)
