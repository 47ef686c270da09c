"""What a file system refuses ends in one line that says what and what next, and nothing is half-written."""
import errno
import os
import resource
import signal

import pytest
from tiny_run import build, config

from cmim_mm.atomic import PARTIAL, write_atomically
from cmim_mm.checkpoint import CheckpointError, load_checkpoint_file
from cmim_mm.engine import cli
from cmim_mm.engine.failure import FILE_ERRORS


def end_of(function, capsys):
    """(exit status, what stands in stderr)"""
    with pytest.raises(SystemExit) as end:
        cli.run(function)
    return end.value.code, capsys.readouterr().err


@pytest.mark.parametrize('path', ['file', 'file/below', 'file/far/below'])
def test_a_work_dir_at_a_file(path, tmp_path, capsys):
    (tmp_path / 'file').write_text('precious')
    status, err = end_of(lambda: cli.build_runner(config(tmp_path / path), 'none'), capsys)
    assert status == 1 and err.count('\n') == 1
    assert f'--work-dir {tmp_path / path}: {tmp_path / "file"} is a file, and a folder is needed' in err
    assert (tmp_path / 'file').read_text() == 'precious'


def test_a_work_dir_without_permission(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(os, 'access', lambda path, mode: False)
    status, err = end_of(lambda: cli.check_folder(tmp_path / 'a', '--out'), capsys)
    assert status == 1
    named = f'--out {tmp_path / "a"}: no permission to write in {tmp_path}'
    assert err == f'error: {named}. Get it, or name another folder\n'


@pytest.mark.parametrize('code', sorted(FILE_ERRORS))
def test_each_refusal_is_one_line(code, capsys):
    def fail():
        raise OSError(code, os.strerror(code), 'some/file')

    status, err = end_of(fail, capsys)
    assert status == 1 and err.startswith('error: some/file: ') and err.count('\n') == 1
    assert FILE_ERRORS[code] in err


def test_other_errors_of_the_system_keep_their_traceback():
    def fail():
        raise OSError(errno.EBADF, 'bug')

    with pytest.raises(OSError):
        cli.run(fail)


def full_disk(monkeypatch, number):
    """fsync fails from the ``number``-th file on."""
    calls = []

    def fsync(descriptor):
        calls.append(descriptor)
        if len(calls) >= number:
            os.ftruncate(descriptor, 10)
            raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(os, 'fsync', fsync)


def test_a_full_disk_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    write_atomically(b'old', tmp_path / 'file')
    full_disk(monkeypatch, 1)
    with pytest.raises(OSError, match='No space left on device') as error:
        write_atomically(b'new', tmp_path / 'file')
    assert error.value.filename == str(tmp_path / 'file')
    assert (tmp_path / 'file').read_bytes() == b'old' and len([*tmp_path.iterdir()]) == 1


@pytest.mark.parametrize('number, last', [(1, None), (2, None), (3, 'iter_2'), (4, 'iter_2'), (5, 'iter_4')])
def test_a_disk_that_fills_while_training(number, last, tmp_path, monkeypatch):
    """Each file of the run in turn: checkpoint, pointer, again, and then the best one."""
    full_disk(monkeypatch, number)
    with pytest.raises(CheckpointError, match=r'cannot be written \(No space left on device\)') as error:
        build(tmp_path, train_cfg__val_interval=4,
              default_hooks__checkpoint__save_best='accuracy/top1').train()
    message = str(error.value)
    assert 'go on by --resume' in message
    if last is None:
        assert 'No checkpoint was saved before' in message
    else:
        assert f'The last checkpoint, {tmp_path / last}.pth, is whole' in message
        load_checkpoint_file(tmp_path / f'{last}.pth')
    assert not [*tmp_path.glob(f'*{PARTIAL}')]


def test_a_real_limit_of_the_file_size(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
        with pytest.raises(OSError) as error:
            write_atomically(bytes(1000), tmp_path / 'file')
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert 'ulimit' in cli.expected_message(error.value) and not [*tmp_path.iterdir()]


def test_an_interrupt_leaves_nothing_half_written(tmp_path, monkeypatch):
    def interrupt(descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, 'fsync', interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(b'new', tmp_path / 'file')
    assert not [*tmp_path.iterdir()]
