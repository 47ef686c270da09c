"""Memory that is kept: a large tensor in the place of the one before takes no new pages."""
import subprocess
import sys

import pytest

from cmim_mm.deploy import memory

KEEP = """
from cmim_mm.deploy.memory import keep_memory
assert keep_memory()
"""
#: What every tool that trains or tests begins with.
BUILD_RUNNER = """
from mmengine.config import Config
from mmengine.registry import RUNNERS
import cmim_mm
from cmim_mm.engine.cli import build_runner

@RUNNERS.register_module()
class NoRunner:
    from_cfg = classmethod(lambda cls, cfg: cls())

build_runner(Config(dict(runner_type='NoRunner', work_dir='.')), 'none')
"""
MEASURE = """
import resource, torch
faults = []
for _ in range(4):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.zeros(10_000_000)
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(min(faults))
"""


@pytest.mark.skipif(not sys.platform.startswith('linux'), reason='counts page faults of Linux')
@pytest.mark.parametrize('begin', [KEEP, BUILD_RUNNER])
def test_pages_are_kept(begin):
    found = [int(subprocess.run([sys.executable, '-c', program], capture_output=True, text=True,
                                check=True).stdout) for program in (begin + MEASURE, MEASURE)]
    assert found[0] < found[1] / 5


def test_other_c_libraries_are_left_alone(monkeypatch):
    monkeypatch.setattr(memory.ctypes, 'CDLL', lambda name: object())
    assert memory.keep_memory() is False
