"""Killed while saving: the previous checkpoint is there, and last_checkpoint names a whole file."""
import os
from pathlib import Path

import pytest
import torch
from test_loop import run_script
from toy_run import build_runner

from cmim_mm.atomic import PARTIAL, remove_partial_files, write_atomically
from cmim_mm.checkpoint import load_checkpoint_file
from cmim_mm.engine.hooks import AtomicCheckpointHook

HOOK = {'interval': 2, 'max_keep_ckpts': 1, 'save_best': 'toy/score', 'rule': 'greater'}


class Killed(BaseException):
    """Stands for SIGKILL: nothing in the package catches it."""


def train(work_dir, resume=False, **changes):
    build_runner(work_dir, resume=resume, iterations=6, checkpoint={**HOOK, **changes},
                 train_cfg={'type': 'cmim_mm.ResumableIterLoop', 'max_iters': 6, 'val_interval': 2}).train()


def kill(monkeypatch, name, number, after):
    """Makes the ``number``-th call of os.``name`` the last thing that happens, before or after its effect."""
    real, calls = getattr(os, name), []

    def step(*args, **kwargs):
        calls.append(args)
        if len(calls) == number and not after:
            raise Killed
        real(*args, **kwargs)
        if len(calls) == number:
            raise Killed

    monkeypatch.setattr(os, name, step)
    return calls


def assert_loadable(work_dir, at_least_one):
    whole = [load_checkpoint_file(path) for path in Path(work_dir).glob('*.pth')]
    assert whole or not at_least_one
    last = Path(work_dir, 'last_checkpoint')
    assert last.exists() or not at_least_one
    if last.exists():
        assert 'optimizer' in load_checkpoint_file(last.read_text())


@pytest.mark.parametrize('after', [False, True])
@pytest.mark.parametrize('name', ['fsync', 'replace', 'remove'])
def test_kill_at_every_step(name, after, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        calls = kill(patch, name, -1, after)
        train(tmp_path / 'whole')
    total = len(calls)
    assert total >= 2
    for number in range(1, total + 1):
        work_dir = tmp_path / str(number)
        with monkeypatch.context() as patch, pytest.raises(Killed):
            kill(patch, name, number, after)
            train(work_dir)
        assert_loadable(work_dir, at_least_one=number > 2 or name == 'remove')
        train(work_dir, resume=True)
        assert sorted(path.name for path in work_dir.glob('iter_*')) == ['iter_6.pth']
        assert not [*work_dir.glob(f'*{PARTIAL}')]


def test_real_kill_in_the_midst_of_a_file(tmp_path):
    killed = run_script(tmp_path, '--kill-in-save', 5)  # the fifth is iter_6
    assert killed.returncode == -9, killed.stderr
    assert [path.name for path in tmp_path.glob(f'*{PARTIAL}')] == [f'iter_6.pth{PARTIAL}']
    assert_loadable(tmp_path, at_least_one=True)
    assert Path((tmp_path / 'last_checkpoint').read_text()).name == 'iter_4.pth'


def test_keeps_the_latest_and_the_best(tmp_path):
    train(tmp_path, max_keep_ckpts=2)
    names = sorted(path.name for path in tmp_path.glob('*.pth'))
    assert names[1:] == ['iter_4.pth', 'iter_6.pth'] and names[0].startswith('best_toy_score_iter_')
    hub = load_checkpoint_file(tmp_path / 'iter_6.pth')['message_hub']['runtime_info']
    assert hub['best_ckpt'] == str(tmp_path / names[0])


def test_several_best_metrics(tmp_path):
    train(tmp_path, save_best=['toy/score', 'toy/score_again'], rule=['greater', 'less'])
    names = {path.name.split('_iter')[0] for path in tmp_path.glob('best_*')}
    assert names == {'best_toy_score', 'best_toy_score_again'}


@pytest.mark.parametrize('victim', ['thesis.pth', 'best_of_another_run.pth'])
def test_a_path_in_a_checkpoint_deletes_nothing_outside_the_run(victim, tmp_path):
    """``best_ckpt`` comes from the checkpoint, and MMEngine deletes whatever it names."""
    train(tmp_path / 'run')
    precious = tmp_path / victim
    precious.write_text('precious')
    checkpoint = torch.load(tmp_path / 'run/iter_6.pth')
    checkpoint['message_hub']['runtime_info'].update(best_ckpt=str(precious), best_score=-1e9)
    checkpoint['meta']['iter'] = 4
    torch.save(checkpoint, tmp_path / 'hostile.pth')
    build_runner(tmp_path / 'run', resume=True, load_from=str(tmp_path / 'hostile.pth'), iterations=6,
                 checkpoint=HOOK).train()
    assert precious.read_text() == 'precious'


def test_write_atomically_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / 'new' / 'file'
    write_atomically(b'old', path)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill(patch, 'replace', 1, after=False)
        write_atomically(b'new', path)
    assert path.read_bytes() == b'old'
    remove_partial_files(path.parent)
    assert [*path.parent.iterdir()] == [path]


def test_refuses_file_client_args():
    with pytest.raises(ValueError, match='backend_args'):
        AtomicCheckpointHook(file_client_args={'backend': 'disk'})
