"""Compiling on first use, its cache, what happens without a compiler, and the choice of a kernel."""
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from packed import Case

from cmim_mm.deploy import compiler, kernel, ops

WITHOUT_A_COMPILER = '''
import os, torch
from cmim_mm.deploy import available_kernels, ops
pixel = torch.zeros(1, 1, 1, 1).long()
print(ops.binary_conv2d(pixel, pixel, 64).item(), available_kernels())
os.environ['CMIM_MM_KERNEL'] = 'serial'
ops.binary_conv2d(pixel, pixel, 64)
'''


@pytest.fixture
def empty_sources(tmp_path, monkeypatch):
    """A source that compiles at once, and a cache of its own."""
    sources = tmp_path / 'sources'
    sources.mkdir()
    (sources / 'empty.cpp').write_text('extern "C" int answer() { return 42; }')
    monkeypatch.setattr(compiler, 'SOURCES', sources)
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    if not (shutil.which('g++') or shutil.which('c++')):
        pytest.skip('there is no C++ compiler')
    return sources


def test_a_library_is_compiled_once(empty_sources, monkeypatch):
    with ThreadPoolExecutor(3) as pool:
        paths = set(pool.map(lambda _: compiler.build(), range(3)))
    path, = paths
    assert [file.suffix for file in sorted(path.parent.iterdir())] == ['.lock', '.so']
    made = path.stat().st_mtime_ns
    assert compiler.build() == path and path.stat().st_mtime_ns == made
    (empty_sources / 'empty.cpp').write_text('extern "C" int answer() { return 43; }')
    changed = compiler.build()
    monkeypatch.setattr(compiler, 'FLAGS', (*compiler.FLAGS, '-g0'))
    assert len({path, changed, compiler.build()}) == 3


def test_a_failed_compilation_names_its_error_and_leaves_nothing(empty_sources):
    (empty_sources / 'empty.cpp').write_text('int f() { return missing; }')
    with pytest.raises(compiler.CannotCompile, match="failed: .*empty.cpp:1.*error: .*missing"):
        compiler.build()
    assert [file.suffix for file in compiler.cache_folder().iterdir()] == ['.lock']


def test_a_cache_that_cannot_be_written(empty_sources, tmp_path, monkeypatch):
    (tmp_path / 'file').write_text('')
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'file'))
    with pytest.raises(compiler.CannotCompile, match='XDG_CACHE_HOME names another'):
        compiler.build()


def test_what_else_is_missing(tmp_path, monkeypatch):
    monkeypatch.setenv('CXX', 'no-such-compiler')
    with pytest.raises(compiler.CannotCompile, match=r'C\+\+ compiler \(no-such-compiler\); install g\+\+'):
        compiler.build()
    monkeypatch.setattr(compiler, 'TORCH', tmp_path)
    with pytest.raises(compiler.CannotCompile, match='without its header'):
        compiler.build()
    monkeypatch.setattr(torch, '__version__', '2.9.1+cu128')
    with pytest.raises(compiler.CannotCompile, match='2.9.1.* older than 2.10'):
        compiler.build()


def test_without_a_compiler_torch_computes_and_says_so():
    done = subprocess.run([sys.executable, '-c', WITHOUT_A_COMPILER], capture_output=True, text=True,
                          env={**os.environ, 'CXX': 'no-such-compiler', kernel.VARIABLE: ''})
    said, result = done.stdout.splitlines()
    assert 'not compiled: there is no C++ compiler (no-such-compiler)' in said
    assert result == "64 ['torch']"
    error = done.stderr.splitlines()[-1]
    assert error.startswith('RuntimeError: CMIM_MM_KERNEL=serial: no such kernel on this machine (the 1-bit')


def test_the_choice_is_read_at_every_call(monkeypatch):
    names = kernel.available_kernels()
    monkeypatch.delenv(kernel.VARIABLE, raising=False)
    assert kernel.chosen_kernel() == names[-1]
    case = Case(0, channels=64, out_channels=64, size=(3, 3))
    prepared = {}
    for name in names:
        monkeypatch.setenv(kernel.VARIABLE, name)
        assert kernel.chosen_kernel() == name
        prepared[name] = ops.prepare_weight(case.weight, 64)
    for name in names:
        monkeypatch.setenv(kernel.VARIABLE, name)
        for made_for in names:
            sums = ops.binary_conv2d(case.bits, case.weight, *case.args, prepared[made_for])
            assert torch.equal(sums.long(), case.sums)
    monkeypatch.setenv(kernel.VARIABLE, 'avx3')
    with pytest.raises(RuntimeError, match='CMIM_MM_KERNEL=avx3: no such kernel.* available are torch,'):
        ops.binary_conv2d(case.bits, case.weight, *case.args)


def test_popcount_limit():
    for name in kernel.available_kernels()[1:]:
        assert kernel.popcount_limit(name, seconds=0.01) > 1e9
    with pytest.raises(ValueError, match="kernel='torch' has no loop"):
        kernel.popcount_limit('torch')


def test_threads_do_not_change_results():
    case = Case(1, channels=70, out_channels=40, size=(33, 9), padding=1, batch=2)
    before = torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            assert torch.equal(ops.binary_conv2d(case.bits, case.weight, *case.args).long(), case.sums)
    finally:
        torch.set_num_threads(before)
