"""The folder of a grid: what is planned, what has ended, what is running.

    manifest.json      written before the first run: every run, versions, machine, fingerprint of the data
    results.jsonl      one line a run that ended, finished or failed
    runs/NAME/         config.py, logs and weights of one run; lock: held by the process that runs it
    lock               held while the manifest or a report is written

Several processes, on machines that share the folder, may use it at once. A kill at any moment loses
nothing that stands in it: lines are appended whole, and the operating system drops the locks of the dead.
"""
import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Optional

from cmim_mm.atomic import write_atomically
from cmim_mm.version import __version__

#: Of the folder's layout and of a result's keys.
FORMAT = 1
FINISHED, FAILED = 'finished', 'failed'


class StoreError(ValueError):
    """The folder cannot be used for this grid; the message says why and what to do."""


class Store:
    """Reads and writes the folder of a grid.

    Args:
        folder: The folder; made when the manifest is written.
    """

    def __init__(self, folder: 'str | os.PathLike') -> None:
        self.folder = Path(folder)
        self.torn = 0
        self._records: dict[str, dict] = {}
        self._attempts: dict[str, int] = {}
        self._offset = 0

    # The plan --------------------------------------------------------------------------------------------

    def manifest(self) -> dict:
        """What :meth:`claim_folder` wrote.

        Raises:
            StoreError: There is none, or another version wrote it.
        """
        path = self.folder / 'manifest.json'
        if not path.is_file():
            raise StoreError(f'{self.folder}: holds no manifest.json, so no grid was started here. Give the '
                             '--work-dir of one')
        try:
            manifest = json.loads(path.read_text())
            versions = manifest['format'], manifest['versions']['cmim_mm']
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(f'{path}: is no manifest of a grid ({type(error).__name__}: {error}). Choose '
                             'another --work-dir') from error
        if versions != (FORMAT, __version__):
            raise StoreError(
                f'{path}: written by cmim_mm {versions[1]} in format {versions[0]}, but this is '
                f'{__version__} with format {FORMAT}; its figures would not compare. Go on with that one, '
                'or choose another --work-dir')
        return manifest

    def claim_folder(self, manifest: Mapping[str, Any], configs: Mapping[str, str]) -> None:
        """Writes configs and manifest; a grid that only has more runs than the one that is there extends it.

        Args:
            manifest: ``runs`` (name -> dict with ``digest``), ``data`` (root -> fingerprint), and more.
            configs: Path in the folder -> text.

        Raises:
            StoreError: Another grid, other data or another version stands there.
        """
        with self.alone():
            there = [p.name for p in self.folder.iterdir() if p.name != 'lock']
            if (self.folder / 'manifest.json').exists():
                _check_same(self.manifest(), manifest, self.folder)
            elif 'results.jsonl' in there:
                raise StoreError(f'{self.folder}: holds results.jsonl but no manifest.json that says of '
                                 'what. Choose another --work-dir')
            for path, text in configs.items():
                write_atomically(text.encode(), self.folder / path, sync=False)
            write_atomically(json.dumps(manifest, indent=1).encode(), self.folder / 'manifest.json')

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Waits until no other caller writes what callers share, and keeps them waiting."""
        with _locked(self.folder / 'lock'):
            yield

    # The results -----------------------------------------------------------------------------------------

    def records(self) -> dict[str, dict]:
        """Run -> its last line. Reads what was added since the last call.

        A line that a kill or a full disk cut short counts as not written (``torn`` counts them): its run
        is unfinished, and goes on.
        """
        path = self.folder / 'results.jsonl'
        if not path.is_file():
            return self._records
        with open(path, 'rb') as file:
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b'\n'):
                    break  # being written, or cut short: looked at again once something follows
                self._offset += len(line)
                self._take(line)
        return self._records

    def attempts(self, name: str) -> int:
        """How many lines a run has."""
        self.records()
        return self._attempts.get(name, 0)

    def append(self, record: Mapping[str, Any]) -> None:
        """Adds one line, flushed to the disk, behind whatever is there, a torn line too."""
        line = json.dumps(record, allow_nan=True).encode() + b'\n'
        path = self.folder / 'results.jsonl'
        with _locked(self.folder / 'results.lock'), open(path, 'ab+') as file:
            if file.seek(0, os.SEEK_END):
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b'\n':
                    line = b'\n' + line
            file.write(line)
            file.flush()
            os.fsync(file.fileno())

    def _take(self, line: bytes) -> None:
        try:
            record = json.loads(line)
            name = record['run']
        except (ValueError, KeyError, TypeError):
            self.torn += 1
            return
        self._records[name] = record
        self._attempts[name] = self._attempts.get(name, 0) + 1

    # Who runs what ---------------------------------------------------------------------------------------

    def run_folder(self, name: str) -> Path:
        """Work folder of a run."""
        return self.folder / 'runs' / name

    @contextmanager
    def claim(self, name: str) -> Iterator[bool]:
        """Whether this process, and no other, may run ``name`` until the block ends or the process dies."""
        with _locked(self.run_folder(name) / 'lock', wait=False) as file:
            if file is not None:
                file.truncate(0)
                file.write(json.dumps(
                    {'pid': os.getpid(), 'host': os.uname().nodename, 'since': time.time()}))
                file.flush()
            yield file is not None

    def running(self, name: str) -> Optional[dict]:
        """``pid``, ``host`` and ``since`` of the process that runs ``name``, or None.

        Not for the process that runs it: closing the file would drop its lock.
        """
        path = self.run_folder(name) / 'lock'
        if not path.is_file():
            return None
        with open(path, 'r+') as file:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                try:
                    return json.load(file)
                except ValueError:  # it has only just begun
                    return {'since': time.time()}
        return None


@contextmanager
def _locked(path: Path, wait: bool = True) -> Iterator:
    """The open file under an exclusive lock of this process (not of its children); None where it is taken."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, 'a+') as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except OSError:
            if wait:
                raise
            yield None
            return
        yield file


def _check_same(there: Mapping[str, Any], new: Mapping[str, Any], folder: Path) -> None:
    advice = 'Choose another --work-dir, or give the grid that was started here'
    gone = sorted(there['runs'].keys() - new['runs'].keys())
    if gone:
        raise StoreError(f'{folder}: was started with another grid; this one lacks {_few(gone)}. {advice}')
    changed = [name for name, run in there['runs'].items() if run['digest'] != new['runs'][name]['digest']]
    if changed:
        raise StoreError(f'{folder}: was started with another grid or other options, which change '
                         f'{_few(changed)}. {advice}')
    for root, fingerprint in there['data'].items():
        if new['data'].get(root, fingerprint) != fingerprint:
            raise StoreError(f'{root}: the data changed since the grid in {folder} was started. Bring it '
                             'back, or choose another --work-dir')


def _few(names: Sequence[str], shown: int = 3) -> str:
    more = f' and {len(names) - shown} more' if len(names) > shown else ''
    return f'{", ".join(names[:shown])}{more}'
