"""Compiles the C++ kernels on first use, once for each set of sources, compiler, flags and torch."""
import fcntl
import hashlib
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

SOURCES = Path(__file__).parent / 'kernels'
#: The stable ABI of torch 2.10: a library built against any later torch runs with this one too.
FLAGS = ('-std=c++17', '-O3', '-ffp-contract=off', '-fPIC', '-Wno-psabi',
         '-DTORCH_TARGET_VERSION=0x020a000000000000')
TORCH = Path(torch.__file__).parent


class CannotCompile(RuntimeError):
    """Why the kernels cannot be compiled here, in one line."""


def cache_folder() -> Path:
    """``$XDG_CACHE_HOME/cmim_mm``, in place of an unset variable ``~/.cache``."""
    return Path(os.environ.get('XDG_CACHE_HOME') or '~/.cache').expanduser() / 'cmim_mm'


def find_compiler() -> str:
    """The path of ``$CXX``, g++ or c++.

    Raises:
        CannotCompile: There is none.
    """
    names = [os.environ['CXX']] if os.environ.get('CXX') else ['g++', 'c++']
    for name in names:
        found = shutil.which(name)
        if found:
            return found
    raise CannotCompile(f'there is no C++ compiler ({" or ".join(names)}); install g++ or name one by CXX')


def _check_torch() -> None:
    if torch.torch_version.TorchVersion(torch.__version__) < '2.10':
        raise CannotCompile(f'torch {torch.__version__} is older than 2.10, whose stable ABI they need')
    header = TORCH / 'include/torch/csrc/stable/library.h'
    if not header.is_file():
        raise CannotCompile(f'this build of torch came without its header {header}')


def build() -> Path:
    """The compiled library, from the cache where it is there. Processes that need it at once wait for one.

    Raises:
        CannotCompile: No compiler, a torch that does not fit, a failed compilation or a cache that cannot be
            written; says which.
    """
    _check_torch()
    compiler = find_compiler()
    sources = sorted(SOURCES.glob('*.cpp'))
    try:
        version = subprocess.run([compiler, '--version'], capture_output=True, check=True).stdout
        files = [(path.name, path.read_bytes()) for path in sorted(SOURCES.iterdir()) if path.is_file()]
        key = hashlib.sha256(repr((compiler, version, FLAGS, torch.__version__, files)).encode())
        library = cache_folder() / f'kernels_{key.hexdigest()[:20]}.so'
        if library.is_file():
            return library
        library.parent.mkdir(parents=True, exist_ok=True)
        with open(library.with_suffix('.lock'), 'w') as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not library.is_file():
                _compile(compiler, sources, library)
    except (OSError, subprocess.CalledProcessError) as error:
        where = f'the cache is {cache_folder()}, XDG_CACHE_HOME names another'
        raise CannotCompile(f'{error}; {where}') from error
    return library


def _compile(compiler: str, sources: list[Path], library: Path) -> None:
    partial = library.with_suffix(f'.{os.getpid()}')
    with TemporaryDirectory() as folder, ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = [str(Path(folder) / f'{source.name}.o') for source in sources]
        command = (compiler, *FLAGS, '-isystem', str(TORCH / 'include'), '-c')
        list(pool.map(lambda source, made: _run(*command, str(source), '-o', made), sources, objects))
        try:
            _run(compiler, '-shared', *objects, '-o', str(partial), f'-L{TORCH / "lib"}', '-ltorch_cpu')
            os.replace(partial, library)
        finally:
            partial.unlink(missing_ok=True)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        lines = done.stderr.splitlines() or [f'exit status {done.returncode}']
        first = next((line for line in lines if 'error' in line), lines[0])
        raise CannotCompile(f'{command[0]} failed: {first}')
