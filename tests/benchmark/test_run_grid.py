"""Every run of a grid is carried out once, whoever calls, fails or is killed."""
import multiprocessing
import os
import signal
import time

import pytest

from cmim_mm.benchmark.local import LocalExecutor
from cmim_mm.benchmark.run import Outcome, run_grid
from cmim_mm.benchmark.store import FORMAT, Store
from cmim_mm.benchmark.work import work
from cmim_mm.version import __version__

fork = multiprocessing.get_context('fork')


def note(folder, text):
    with open(folder / 'notes', 'a') as file:
        file.write(f'{text}\n')


def notes(folder):
    path = folder / 'notes'
    return path.read_text().splitlines() if path.exists() else []


def job(entry, folder, tools):
    """Two steps, resumed by the file ``step``; what it does besides stands in the run's name."""
    grid = folder.parents[1]
    note(grid, f'begin {folder.name}')
    if 'fail' in folder.name and not (grid / 'mended').exists():
        raise ValueError('it cannot be')
    if 'kill' in folder.name and not (grid / 'mended').exists():
        os.kill(os.getpid(), signal.SIGKILL)
    if 'crash' in folder.name:
        os._exit(3)
    for step in (1, 2):
        if not (folder / f'step{step}').exists():
            time.sleep(0.05)
            note(grid, f'step{step} {folder.name}')
            (folder / f'step{step}').touch()
    note(grid, f'end {folder.name}')
    return {'metrics': {'x': 1.0}}


def start(folder, runs):
    """Writes the manifest of runs, name -> needs."""
    Store(folder).claim_folder({'format': FORMAT, 'versions': {'cmim_mm': __version__}, 'data': {}, 'runs': {
        name: {'digest': name, 'needs': needs} for name, needs in runs.items()}}, {})


def call(folder, runs, jobs=2, retry=False) -> Outcome:
    executor = LocalExecutor(str(folder), '', jobs, job)
    executor.context = fork  # nothing was imported that must not be forked
    return run_grid(Store(folder), runs, executor, jobs, retry, say=lambda line: None, pause=0.01)


def caller(folder, runs, **options):
    process = fork.Process(target=call, args=(folder, runs), kwargs=options)
    process.start()
    return process


RUNS = {'a': [], 'b': ['a'], **{f'c{i}': ['b'] if i % 2 else [] for i in range(8)}}


def test_two_callers_share_the_work(tmp_path):
    start(tmp_path, RUNS)
    others = [caller(tmp_path, RUNS) for _ in range(2)]
    outcome = call(tmp_path, RUNS)
    for other in others:
        other.join()
    assert outcome.complete and set(outcome.finished) == {*RUNS}
    assert sorted(line for line in notes(tmp_path) if line.startswith('begin')) == sorted(
        f'begin {name}' for name in RUNS)  # never one run twice
    store = Store(tmp_path)
    assert set(store.records()) == {*RUNS} and all(store.attempts(name) == 1 for name in RUNS)
    order = notes(tmp_path)
    assert order.index('end a') < order.index('begin b') < order.index('end b') < order.index('begin c1')
    before = notes(tmp_path)
    assert call(tmp_path, RUNS).complete and notes(tmp_path) == before  # nothing is repeated


def test_killed_callers_lose_no_finished_run(tmp_path):
    start(tmp_path, RUNS)
    for kill in range(3):
        process = caller(tmp_path, RUNS)
        deadline = time.monotonic() + 60
        while len(notes(tmp_path)) < 6 * (kill + 1):
            assert time.monotonic() < deadline
            time.sleep(0.002)
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    outcome = call(tmp_path, RUNS)
    assert outcome.complete
    lines = notes(tmp_path)
    for name in RUNS:
        assert lines.count(f'end {name}') <= 1 + 3  # a kill between its end and its line is no finished run
        assert Store(tmp_path).attempts(name) == 1
        # A finished step was never done again: the run went on where it was.
        assert lines.count(f'step1 {name}') <= 2 and lines.count(f'step2 {name}') <= 2


def test_what_fails_does_not_stop_the_rest(tmp_path):
    runs = {'fail': [], 'after': ['fail'], 'crash': [], 'fine': []}
    start(tmp_path, runs)
    outcome = call(tmp_path, runs)
    assert outcome == Outcome(['fine'], outcome.failed, [], ['after'])
    assert {*outcome.failed} == {'fail', 'crash'}
    record = Store(tmp_path).records()['fail']
    assert record['error'] == 'ValueError: it cannot be' and 'in job' in record['traceback']
    assert 'status 3' in Store(tmp_path).records()['crash']['error']
    log = (tmp_path / 'runs/fail/log.txt').read_text()
    assert 'it cannot be' in log

    before = notes(tmp_path)
    again = call(tmp_path, runs)
    assert {*again.failed} == {'fail', 'crash'} and notes(tmp_path) == before  # only with retry
    (tmp_path / 'mended').touch()
    retried = call(tmp_path, runs, retry=True)
    assert {*retried.finished} == {'fail', 'after', 'fine'} and retried.failed == ['crash']
    assert notes(tmp_path).count('begin crash') == 2  # once more, not for ever


def test_a_signal_from_outside_leaves_a_run_unfinished(tmp_path):
    runs = {'kill': [], 'after': ['kill'], 'fine': []}
    start(tmp_path, runs)
    outcome = call(tmp_path, runs)
    assert outcome == Outcome(['fine'], [], ['kill'], ['after'])
    assert 'kill' not in Store(tmp_path).records()
    (tmp_path / 'mended').touch()
    assert call(tmp_path, runs).complete


def test_a_run_that_another_caller_did_meanwhile_is_left_alone(tmp_path):
    """Both callers saw one failure and retry; whoever comes second sees two lines and does nothing."""
    start(tmp_path, {'fail': []})
    for attempt in (0, 1, 1, 0):
        work(str(tmp_path), 'fail', '', attempt, job=job)
    assert Store(tmp_path).attempts('fail') == 2 == notes(tmp_path).count('begin fail')


def test_no_run_outlives_its_caller(tmp_path):
    runs = {f'c{i}': [] for i in range(40)}
    start(tmp_path, runs)
    process = caller(tmp_path, runs)
    while len(notes(tmp_path)) < 4:
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    deadline = time.monotonic() + 30
    while any(Store(tmp_path).running(name) for name in runs):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    count = len(notes(tmp_path))
    time.sleep(0.3)
    assert len(notes(tmp_path)) == count


@pytest.mark.parametrize('jobs', [1, 3])
def test_threads_are_shared_out(jobs, monkeypatch):
    monkeypatch.setattr('torch.get_num_threads', lambda: 7)
    assert LocalExecutor('', '', jobs).threads == 7 // jobs


def test_slots_go_over_gpus(monkeypatch):
    monkeypatch.setattr('torch.cuda.device_count', lambda: 2)
    assert LocalExecutor('', '', 3).devices == ['0', '1', '0']
