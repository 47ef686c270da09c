"""Writing a file so that a kill at any moment leaves either the old one or the new one."""
import contextlib
import os
from pathlib import Path
from typing import Union

from mmengine.fileio import LocalBackend, register_backend

#: Ending of a file that is being written; what a killed process leaves behind.
PARTIAL = '.partial'


def write_atomically(data: bytes, path: Union[str, Path], sync: bool = True) -> None:
    """Writes beside ``path``, then renames over it (making the folder if need be).

    Args:
        data: The content.
        path: Where it goes.
        sync: Whether it is on the disk before the rename, which survives a power failure too; without,
            a kill of the process alone. Thousands of files that can be made again go without.

    Raises:
        OSError: It cannot be written; names ``path``, and nothing of it is left.
    """
    partial = f'{path}{PARTIAL}'
    os.makedirs(os.path.dirname(partial) or '.', exist_ok=True)
    try:
        with open(partial, 'wb') as file:
            file.write(data)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        os.replace(partial, path)
    except (OSError, KeyboardInterrupt) as error:
        with contextlib.suppress(OSError):
            os.unlink(partial)
        if getattr(error, 'errno', None):  # a full disk's does not say where
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def remove_partial_files(folder: Union[str, Path]) -> None:
    """Removes what a killed process left half-written in a folder (which need not exist)."""
    for path in Path(folder).glob(f'*{PARTIAL}'):
        path.unlink()


class AtomicBackend(LocalBackend):
    """MMEngine's local files with atomic writes: ``backend_args=dict(backend='atomic')``."""

    def put(self, obj: bytes, filepath: Union[str, Path]) -> None:
        write_atomically(obj, filepath)

    def put_text(self, obj: str, filepath: Union[str, Path], encoding: str = 'utf-8') -> None:
        write_atomically(obj.encode(encoding), filepath)


register_backend('atomic', AtomicBackend, force=True)
