"""How a tool ends: its status, and what it tells the user.

Mistakes of the user (a missing file, an unknown key or type, a value out of range, an unsafe checkpoint) end
in one message on stderr and exit status 1; argparse answers wrong arguments with status 2; anything else is a
bug and keeps its traceback.
"""
import errno
import logging
import sys
import traceback
from typing import Callable, Optional

import torch

from cmim_mm.checkpoint import CheckpointError
from cmim_mm.datasets.layout import DataError
from cmim_mm.engine.console import say
from cmim_mm.engine.hooks import NonFiniteError
from cmim_mm.engine.machine_errors import machine_problem
from cmim_mm.engine.schedule import ScheduleError
from cmim_mm.models.batch_norm import OneValueError
from cmim_mm.safetensors_file import FileRefused


class ToolError(Exception):
    """A mistake of the user; the message says which and what to do."""


EXPECTED = (ToolError, DataError, CheckpointError, FileRefused, NonFiniteError, OneValueError, ScheduleError,
            FileNotFoundError)
#: What a file system may answer to a user, and what to do about it.
FILE_ERRORS = {
    errno.EEXIST: 'A file is where a folder is needed: move it away, or name another folder',
    errno.ENOTDIR: 'A file is where a folder is needed: move it away, or name another folder',
    errno.EISDIR: 'A folder is where a file is needed: name another file',
    errno.EACCES: 'Get the permission, or name another place',
    errno.EPERM: 'Get the permission, or name another place',
    errno.EROFS: 'It cannot be written to: name another place',
    errno.ENOENT: 'Check the path',
    errno.ENAMETOOLONG: 'Name a shorter one',
    errno.ENOSPC: 'Make room, then start again; a training goes on from its last checkpoint by --resume',
    errno.EDQUOT: 'Make room, then start again; a training goes on from its last checkpoint by --resume',
    errno.EFBIG: 'Files may not grow that large here (ulimit -f); a training goes on by --resume',
}


def run(main: Callable[[], None]) -> None:
    """Runs a tool and leaves the process with its status: 0, 1 on a mistake of the user, 130 on Ctrl-C."""
    logging.raiseExceptions = False  # a log that cannot be written is no reason for a traceback each line
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        message = expected_message(error)
        if message is None:
            raise
        say('', transient=True)  # where a terminal shows progress
        print(f'error: {message}', file=sys.stderr)
        sys.exit(1)


def expected_message(error: Exception) -> Optional[str]:
    """What to tell the user about ``error``, or None where it is a bug."""
    text = str(error.args[0] if isinstance(error, KeyError) and error.args else error)
    if isinstance(error, OSError) and error.errno in FILE_ERRORS:
        place = f'{error.filename}: ' if error.filename else ''
        return f'{place}{error.strerror}. {FILE_ERRORS[error.errno]}'
    if isinstance(error, torch.OutOfMemoryError):
        return (f'{text.splitlines()[0]} Training takes less with --cfg-options train_cfg.micro_batches=2 '
                '(or 4, 8), which leaves the rest as it is, or with --amp')
    if isinstance(error, EXPECTED):
        # A data loader's worker sends its traceback as text; the message stands behind it.
        if 'Original Traceback' in text:
            text = text.rpartition(f'{type(error).__name__}: ')[2].rstrip()
        return text
    problem = machine_problem(error)
    if problem:
        return problem
    built = _type_being_built(error)
    if built and text and isinstance(error, (KeyError, ValueError, TypeError, AssertionError)):
        return f"the config's type='{built}' cannot be built: {text}"
    return None


def _type_being_built(error: Exception) -> Optional[str]:
    """The ``type`` of the innermost config dict that was being built when ``error`` was raised."""
    frames = [f for f, _ in traceback.walk_tb(error.__traceback__) if f.f_code.co_name == 'build_from_cfg']
    return str(frames[-1].f_locals.get('obj_type', '?')) if frames else None
