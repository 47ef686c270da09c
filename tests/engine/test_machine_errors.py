"""A worker that dies ends in one line that says what to do."""
import os
import re
import signal

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from cmim_mm.engine import cli
from cmim_mm.engine.machine_errors import machine_problem


class Dying(Dataset):
    """A worker that dies at its first sample, as the kernel ends one for its memory."""

    def __init__(self, signal_number):
        self.signal_number = signal_number

    def __len__(self):
        return 4

    def __getitem__(self, index):
        os.kill(os.getpid(), self.signal_number)


@pytest.mark.parametrize('number, text', [
    (signal.SIGKILL, 'was killed, most likely because memory ran out.*num_workers'),
    (signal.SIGBUS, 'shared memory.*--shm-size'),
    (signal.SIGSEGV, 'ended by signal Segmentation.*num_workers=0')])
@pytest.mark.parametrize('workers', [1, 2])
def test_a_real_worker(number, text, workers, capsys):
    with pytest.raises(SystemExit) as end:
        cli.run(lambda: list(DataLoader(Dying(number), num_workers=workers)))
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith('error: ')]
    assert end.value.code == 1 and len(lines) == 1 and re.search(text, lines[0]), lines


@pytest.mark.parametrize('error, text', [
    (RuntimeError('DataLoader worker (pid(s) 12, 13) exited unexpectedly'), 'ended unexpectedly'),
    (RuntimeError('unable to open shared memory object </torch_1> in read-write mode'), '/dev/shm'),
    (MemoryError(), 'memory ran out'),
    (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
     'memory ran out'),
])
def test_messages(error, text):
    assert text in machine_problem(error) and '\n' not in machine_problem(error)


@pytest.mark.parametrize('error', [
    RuntimeError('size mismatch'), ValueError('x'), torch.OutOfMemoryError('CUDA')])
def test_other_errors_are_left_alone(error):
    assert machine_problem(error) is None
