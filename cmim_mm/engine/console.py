"""What the tools show: progress, losses, results and what this project has to say.

MMEngine's account of its insides (environment, config, hooks, initialization, deprecations) goes to the log
file alone; ``--verbose`` leaves everything as MMEngine prints it.
"""
import logging
import sys
import warnings
from collections.abc import Sequence

from mmengine.logging import MMLogger
from mmengine.runner import Runner

#: Modules that a record passes through on its way here.
_CARRIERS = ('logging', 'mmengine.logging', 'warnings', __name__)
#: This project's, and the tool that was started.
_OWN = ('cmim_mm', '__main__')

_show = warnings.showwarning


def say(text: str, transient: bool = False) -> None:
    """Prints a line; on a terminal, a transient one is overwritten by what comes next."""
    terminal = sys.stdout.isatty()
    if text or terminal:
        start, end = ('\r\033[K' if terminal else ''), ('' if terminal and transient else '\n')
        print(f'{start}{text}', end=end, flush=True)


def hide_warnings_of_others() -> None:
    """Python's warnings are shown where they come from this project: for tools without a log file."""
    warnings.showwarning = _show_own


def _show_own(*args, **kwargs) -> None:
    if _within(_speaker(), _OWN):
        _show(*args, **kwargs)


class QuietRunner(Runner):
    """A Runner whose console shows what :func:`quieten` lets through.

    Attributes:
        shown: Modules, beside this project's, whose records are shown.
    """
    shown: Sequence[str] = ()

    def build_logger(self, *args, **kwargs) -> MMLogger:
        """As in ``Runner``."""
        logger = super().build_logger(*args, **kwargs)
        quieten(logger, self.shown)
        return logger


def quieten(logger: MMLogger, shown: Sequence[str] = ()) -> None:
    """Shows of a logger's records those of this project and errors; python's warnings become its records.

    Args:
        logger: Its log file, if any, gets all of them.
        shown: Further modules whose records are shown.
    """
    modules = (*_OWN, *shown)
    logger.handlers = [_Console(handler.level, modules) if type(handler) is logging.StreamHandler else handler
                       for handler in logger.handlers]

    def to_log(message, category, filename, lineno, file=None, line=None) -> None:
        logger.warning(f'{category.__name__}: {message} ({filename}:{lineno})')

    warnings.showwarning = to_log


class _Console(logging.Handler):
    """Prints the messages of records from the given modules, and errors."""

    def __init__(self, level: int, modules: Sequence[str]) -> None:
        super().__init__(level)
        self.modules = modules
        self.warned: set = set()

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno < logging.ERROR and not _within(_speaker(), self.modules):
            return
        message = record.getMessage()
        if record.levelno >= logging.WARNING:
            if message in self.warned:
                return
            self.warned.add(message)
            message = f'{record.levelname.lower()}: {message}'
        say(message)


def _speaker() -> str:
    """The module that logs: the innermost one that only carries nothing on."""
    frame = sys._getframe()
    while frame and _within(frame.f_globals.get('__name__', ''), _CARRIERS):
        frame = frame.f_back
    return frame.f_globals.get('__name__', '') if frame else ''


def _within(module: str, packages: Sequence[str]) -> bool:
    return any(module == package or module.startswith(f'{package}.') for package in packages)
