"""Slurm and Ray carry runs out under the rules of the store; tested on this machine."""
import os
import signal
import time
from pathlib import Path

import pytest

from cmim_mm.benchmark.run import run_grid
from cmim_mm.benchmark.store import FORMAT, Store
from cmim_mm.version import __version__

RUNS = {'first': [], 'second': ['first'], 'fail': []}


def job(entry, folder, tools):
    """Ends at once, or, the first time, when it is preempted."""
    with open(folder / 'begun', 'a') as file:
        file.write(f'{os.getpid()}\n')
    if 'fail' in folder.name:
        raise ValueError('it cannot be')
    if 'preempted' in folder.name and len((folder / 'begun').read_text().split()) == 1:
        time.sleep(120)
    return {'metrics': {'x': 1.0}}


@pytest.fixture
def start(tmp_path, monkeypatch):
    def start(runs):
        store = Store(tmp_path / 'grid')
        store.claim_folder({'format': FORMAT, 'versions': {'cmim_mm': __version__}, 'data': {}, 'runs': {
            name: {'digest': name, 'needs': needs} for name, needs in runs.items()}}, {})
        return store
    repository = Path(__file__).resolve().parents[2]
    monkeypatch.setenv('PYTHONPATH', os.pathsep.join(
        [str(repository), str(Path(__file__).parent), os.environ.get('PYTHONPATH', '')]))
    return start


def check(store, executor):
    outcome = run_grid(store, RUNS, executor, jobs=2, say=lambda line: None)
    assert {*outcome.finished} == {'first', 'second'} and outcome.failed == ['fail']
    pids = [(store.run_folder(name) / 'begun').read_text().split() for name in RUNS]
    assert all(len(one) == 1 for one in pids) and len({one[0] for one in pids}) == 3
    assert store.records()['fail']['error'] == 'ValueError: it cannot be'


def test_ray(start):
    pytest.importorskip('ray', reason="no ray: pip install 'cmim_mm[ray]'")
    from cmim_mm.benchmark.ray import RayExecutor
    store = start(RUNS)
    check(store, RayExecutor(str(store.folder), '', {'num_cpus': 1}, job))


@pytest.fixture
def slurm():
    pytest.importorskip('submitit', reason="no submitit: pip install 'cmim_mm[slurm]'")
    from cmim_mm.benchmark.slurm import SlurmExecutor
    return SlurmExecutor


def test_slurm(start, slurm):
    store = start(RUNS)
    check(store, slurm(str(store.folder), '', {'timeout_min': 5}, 'local', job))


def test_a_preempted_job_is_requeued_and_goes_on(start, slurm):
    store = start({'preempted': []})
    executor = slurm(str(store.folder), '', {'timeout_min': 5}, 'local', job)
    handle = executor.submit('preempted', 0)
    begun, deadline = store.run_folder('preempted') / 'begun', time.monotonic() + 60
    while not begun.is_file() or not begun.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    os.kill(int(begun.read_text()), signal.SIGUSR2)  # as Slurm does
    while executor.ended(handle) is None:
        assert time.monotonic() < deadline + 60
        time.sleep(0.1)
    assert executor.ended(handle).problem == ''
    assert store.records()['preempted']['status'] == 'finished' and len(begun.read_text().split()) == 2
