"""The C++ kernels without torch, against the serial one: under sanitizers, and on ARM by emulation."""
import shutil
import subprocess
from pathlib import Path

import pytest

from cmim_mm.deploy.compiler import SOURCES

MAIN = Path(__file__).with_name('kernels_main.cpp')
CASES = '40'


def need(*programs):
    for program in programs:
        if not shutil.which(program):
            pytest.skip(f'{program} is not installed')


def compiled(compiler, program, *flags):
    sources = sorted(path for path in SOURCES.glob('*.cpp') if path.name != 'operators.cpp')
    subprocess.run([compiler, '-std=c++17', '-ffp-contract=off', '-Wno-psabi', f'-I{SOURCES}', *flags,
                    *sources, MAIN, '-o', program], check=True)
    return program


def agreement(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_sanitizers_are_silent(tmp_path):
    """At -O0, which compiles fastest and keeps every read."""
    need('g++')
    program = compiled('g++', tmp_path / 'kernels', '-O0', '-fsanitize=address,undefined',
                       '-fno-sanitize-recover=all')
    assert agreement(program, CASES).endswith(f'agree on {CASES} cases\n')


def test_neon(tmp_path):
    need('aarch64-linux-gnu-g++', 'qemu-aarch64-static')
    program = compiled('aarch64-linux-gnu-g++', tmp_path / 'kernels', '-O1', '-static')
    assert agreement('qemu-aarch64-static', program, CASES) == f'serial,neon agree on {CASES} cases\n'
