"""Memory that is kept: a large tensor in the place of the one before takes no new pages."""
import subprocess
import sys

import pytest

from cmim_mm.deploy import memory

PROGRAM = """
import resource, torch
from cmim_mm.deploy.memory import keep_memory
if {keep}:
    assert keep_memory()
faults = []
for _ in range(4):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.zeros(10_000_000)
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(min(faults))
"""


@pytest.mark.skipif(not sys.platform.startswith('linux'), reason='counts page faults of Linux')
def test_pages_are_kept():
    found = [int(subprocess.run([sys.executable, '-c', PROGRAM.format(keep=keep)], capture_output=True,
                                text=True, check=True).stdout) for keep in (True, False)]
    assert found[0] < found[1] / 5


def test_other_c_libraries_are_left_alone(monkeypatch):
    monkeypatch.setattr(memory.ctypes, 'CDLL', lambda name: object())
    assert memory.keep_memory() is False
