"""Runs as Slurm jobs, by submitit (the extra ``slurm``)."""
from collections.abc import Mapping
from typing import Any, Optional

import submitit

from .run import End
from .work import work


class _Work:
    """What a job does. A preempted one is requeued with itself and goes on from the run's last checkpoint."""

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments

    def __call__(self) -> None:
        work(*self.arguments)

    def checkpoint(self) -> submitit.helpers.DelayedSubmission:
        return submitit.helpers.DelayedSubmission(self)


class SlurmExecutor:
    """Submits each run as a job; Slurm decides where and when.

    Args:
        folder: Of the grid, on a file system that the machines share.
        tools: Folder of ``train.py``, there too.
        options: As submitit's executor has them, e.g. ``slurm_partition`` or ``timeout_min``.
        cluster: 'slurm', or 'local' for this machine, as in tests; by default whichever is there.
        job: As in :func:`~cmim_mm.benchmark.work.work`.
    """

    def __init__(self, folder: str, tools: str, options: Mapping[str, Any], cluster: Optional[str] = None,
                 job: Any = None) -> None:
        self.folder, self.tools, self.job = folder, tools, job
        # A run longer than a job's time goes on in the next one until it has finished.
        self.executor = submitit.AutoExecutor(f'{folder}/slurm', cluster=cluster, slurm_max_num_timeout=1000)
        self.executor.update_parameters(**options)
        self.jobs: list[submitit.Job] = []

    def submit(self, name: str, attempt: int) -> submitit.Job:
        """Submits a run."""
        job = self.executor.submit(_Work(self.folder, name, self.tools, attempt, 0, None, self.job))
        self.jobs.append(job)
        return job

    def ended(self, handle: submitit.Job) -> Optional[End]:
        """How the job ended, or None while it waits or runs."""
        if not handle.done():
            return None
        error = handle.exception()
        if error is None:
            return End()
        # A job without a result was ended by Slurm: its time was over, or its machine failed.
        by_slurm = isinstance(error, submitit.core.utils.UncompletedJobError)
        return End(str(error).strip().splitlines()[0], by_slurm)

    def stop(self) -> None:
        """Cancels what has not ended."""
        for job in self.jobs:
            if not job.done():
                job.cancel()
