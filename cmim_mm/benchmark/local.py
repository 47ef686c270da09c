"""Runs as processes of this machine."""
import multiprocessing
import os
import signal
import threading
from multiprocessing.process import BaseProcess
from typing import Any, Optional

import torch

from .run import End
from .work import work

#: What a user or the operating system ends a process with; anything else is the run's own fault.
_FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
#: Imported once, by the process that the runs fork from. The package's own name comes first, as ever.
_PRELOAD = ['cmim_mm', 'mmseg.models', 'mmseg.engine', 'mmseg.datasets', 'cmim_mm.models', 'cmim_mm.datasets',
            'cmim_mm.engine', 'cmim_mm.evaluation', 'cmim_mm.benchmark.local']


class LocalExecutor:
    """Forks each run from a server process that has imported everything and computed nothing.

    Threads of torch are shared out evenly; GPUs go round, one a run.

    Args:
        folder: Of the grid.
        tools: Folder of ``train.py``.
        jobs: Runs at a time.
        job: As in :func:`~cmim_mm.benchmark.work.work`.
    """

    def __init__(self, folder: str, tools: str, jobs: int, job: Any = None) -> None:
        self.folder, self.tools, self.job = folder, tools, job
        self.context = multiprocessing.get_context('forkserver')
        self.context.set_forkserver_preload(_PRELOAD)
        self.threads = max(1, torch.get_num_threads() // jobs)
        gpus = torch.cuda.device_count()
        self.slots: list[Optional[BaseProcess]] = [None] * jobs
        self.devices = [str(slot % gpus) if gpus else None for slot in range(jobs)]

    def submit(self, name: str, attempt: int) -> BaseProcess:
        """Starts a run in the first free slot."""
        slot = next(i for i, process in enumerate(self.slots) if process is None or not process.is_alive())
        process = self.context.Process(target=_work, args=(
            self.folder, name, self.tools, attempt, self.threads, self.devices[slot], self.job))
        process.start()
        self.slots[slot] = process
        return process

    def ended(self, handle: BaseProcess) -> Optional[End]:
        """How the process ended, or None while it runs."""
        if handle.is_alive():
            return None
        if not handle.exitcode:
            return End()
        if handle.exitcode > 0:
            return End(f'its process ended with status {handle.exitcode}')
        number = signal.Signals(-handle.exitcode)
        return End(f'its process was ended by {number.name}', number in _FROM_OUTSIDE)

    def stop(self) -> None:
        """Ends all processes; their runs stay unfinished."""
        for process in filter(None, self.slots):
            if process.is_alive():
                process.terminate()
                process.join()


def _work(*arguments: Any) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    work(*arguments)


def _end_with_parent() -> None:
    """No run outlives the call that started it; checkpoints and store are safe at any moment."""
    multiprocessing.parent_process().join()
    os._exit(1)
