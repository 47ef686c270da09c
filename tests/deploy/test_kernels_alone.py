"""The C++ kernels without torch, against the serial one: under sanitizers, and on ARM by emulation."""
import shutil
import subprocess
from pathlib import Path

import pytest

from cmim_mm.deploy.compiler import FLAGS, SOURCES, TORCH

MAINS = {name: Path(__file__).with_name(f'{name}_main.cpp') for name in ('kernels', 'stem')}
CASES = '40'


def need(*programs):
    for program in programs:
        if not shutil.which(program):
            pytest.skip(f'{program} is not installed')


def compiled(compiler, program, *flags):
    """``kernels_main.cpp`` with the kernels but stems', or ``stem_main.cpp`` with stems'."""
    sources = sorted(path for path in SOURCES.glob('*.cpp') if 'operator' not in path.name
                     and path.name.startswith('stem') == (program.name == 'stem'))
    subprocess.run([compiler, '-std=c++17', '-ffp-contract=off', '-Wno-psabi', f'-I{SOURCES}', *flags,
                    *sources, MAINS[program.name], '-o', program], check=True)
    return program


def agreement(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize('name', MAINS)
def test_sanitizers_are_silent(name, tmp_path):
    """At -O0, which compiles fastest and keeps every read."""
    need('g++')
    program = compiled('g++', tmp_path / name, '-O0', '-fsanitize=address,undefined',
                       '-fno-sanitize-recover=all')
    assert agreement(program, CASES).endswith(f'agree on {CASES} cases\n')


@pytest.mark.parametrize('name, expected', [('kernels', 'serial,neon agree'), ('stem', 'stems agree')])
def test_arm(name, expected, tmp_path):
    need('aarch64-linux-gnu-g++', 'qemu-aarch64-static')
    program = compiled('aarch64-linux-gnu-g++', tmp_path / name, '-O1', '-static')
    assert agreement('qemu-aarch64-static', program, CASES) == f'{expected} on {CASES} cases\n'


def test_every_name_is_there_on_arm(tmp_path):
    """A name without a definition would keep the library from loading; torch is not there to link with."""
    need('aarch64-linux-gnu-g++', 'aarch64-linux-gnu-nm')
    objects = []
    for source in sorted(SOURCES.glob('*.cpp')):
        objects.append(tmp_path / f'{source.stem}.o')
        subprocess.run(['aarch64-linux-gnu-g++', *FLAGS, '-O0', '-isystem', str(TORCH / 'include'), '-c',
                        source, '-o', objects[-1]], check=True)
    listed = subprocess.run(['aarch64-linux-gnu-nm', '-C', *objects], capture_output=True, text=True,
                            check=True).stdout
    names = {line[19:]: set() for line in listed.splitlines() if 'cmim_mm' in line[19:]}
    for line in listed.splitlines():
        names.get(line[19:], set()).add(line[17:18])
    assert 'U' in set.union(*names.values())
    assert [name for name, kinds in names.items() if kinds == {'U'}] == []
