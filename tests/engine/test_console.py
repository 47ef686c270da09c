"""What a person sees: progress, losses, results; the rest is in the log file."""
import logging
import sys
import warnings

import pytest
from tiny_run import config

from cmim_mm.engine import cli, console


@pytest.fixture(autouse=True)
def own_warnings(monkeypatch):
    monkeypatch.setattr(warnings, 'showwarning', warnings.showwarning)


def train(tmp_path, verbose=False, **changes):
    cfg = config(tmp_path, 4, train_cfg__val_interval=4, log_level='INFO', **changes)
    cli.build_runner(cfg, 'none', verbose).train()
    log, = tmp_path.glob('*/*.log')
    return log.read_text()


def test_shows_progress_and_results(tmp_path, capsys):
    log = train(tmp_path, default_hooks__logger__interval=2)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith('Training ImageClassifier: 4 iterations of 4 images, of 12. Log: ')
    steps = [line for line in lines if line.startswith('train ')]
    assert [line.split()[1] for line in steps] == ['2/4', '4/4']
    assert all('ETA 0:00:0' in line and 'loss_cls' in line and 'lr ' in line for line in steps)
    validation, = (line for line in lines if line.startswith('Validation: '))
    assert 'accuracy/top1' in validation
    assert lines[-1].startswith('Training has ended; checkpoint: ') and lines[-1].endswith('iter_4.pth')
    assert len(lines) < 10
    for wall in ('Hooks will be executed', 'System environment', 'Config:', 'Iter(train)'):
        assert wall in log and wall not in '\n'.join(lines)


def test_verbose_shows_all(tmp_path, capsys):
    train(tmp_path, verbose=True)
    out = capsys.readouterr().out
    assert 'Hooks will be executed' in out and 'Iter(train) [4/4]' in out and '\ntrain ' not in out


@pytest.fixture
def logger(tmp_path):
    made = console.MMLogger(f'{tmp_path}', log_file=str(tmp_path / 'log'))
    console.quieten(made)
    return made


def call(function, module):
    """Calls it from a module of this name."""
    exec('function()', {'function': function, '__name__': module})


@pytest.mark.parametrize('module, shown', [
    ('cmim_mm.engine.loop', True), ('cmim_mm', True), ('__main__', True), ('mmengine.runner', False),
    ('mmseg.models.builder', False), ('cmim_mmx', False)])
def test_whose_records_are_shown(module, shown, logger, tmp_path, capsys):
    call(lambda: exec('logger.warning("look")', {'logger': logger, '__name__': module}), 'elsewhere')
    assert capsys.readouterr().out == ('warning: look\n' if shown else '')
    assert 'look' in (tmp_path / 'log').read_text()


@pytest.mark.parametrize('module, shown', [('mmseg.models.builder', False), ('cmim_mm.models', True)])
def test_warnings_of_python_are_records(module, shown, logger, tmp_path, capsys):
    with warnings.catch_warnings():
        warnings.simplefilter('always')
        console.quieten(logger)
        exec('import warnings; warnings.warn("old", DeprecationWarning)', {'__name__': module})
    said = capsys.readouterr()
    assert ('DeprecationWarning: old' in said.out) == shown and said.err == ''
    assert 'DeprecationWarning: old' in (tmp_path / 'log').read_text()


def test_errors_of_anyone_are_shown(logger, capsys):
    exec('logger.error("broken")', {'logger': logger, '__name__': 'mmengine.runner'})
    assert capsys.readouterr().out == 'error: broken\n'


def test_the_same_warning_comes_once(logger, capsys):
    for _ in range(3):
        exec('logger.warning("again")', {'logger': logger, '__name__': 'cmim_mm.x'})
    assert capsys.readouterr().out.count('again') == 1


def test_other_ranks_stay_silent(tmp_path, capsys):
    made = console.MMLogger(f'{tmp_path}')
    made.handlers[0].setLevel(logging.ERROR)
    console.quieten(made)
    exec('logger.warning("mine")', {'logger': made, '__name__': 'cmim_mm.x'})
    assert capsys.readouterr().out == ''


def test_on_a_terminal_one_line_is_kept_up_to_date(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(type(sys.stdout), 'isatty', lambda self: True, raising=False)
    train(tmp_path)
    out = capsys.readouterr().out
    assert out.count('\r\033[Ktrain [') == 4 and f'[{"#" * 24}] 4/4' in out
    assert '4/4  ETA' in out and '\ntrain' not in out.replace('\n\r', '')


@pytest.mark.parametrize('module, shown', [('mmseg.models.builder', False), ('cmim_mm.models', True)])
def test_without_a_log_file_warnings_of_others_are_not_shown(module, shown, monkeypatch):
    said = []
    monkeypatch.setattr(console, '_show', lambda message, *args: said.append(str(message)))
    with warnings.catch_warnings():
        warnings.simplefilter('always')
        console.hide_warnings_of_others()
        exec('import warnings; warnings.warn("old", DeprecationWarning)', {'__name__': module})
    assert said == (['old'] if shown else [])
