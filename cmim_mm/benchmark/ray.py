"""Runs as tasks of a Ray cluster (the extra ``ray``)."""
from collections.abc import Mapping
from typing import Any, Optional

import ray

from .run import End
from .work import work


class RayExecutor:
    """Sends each run to the cluster that ``RAY_ADDRESS`` names, or to this machine.

    Args:
        folder: Of the grid, on a file system that the machines share.
        tools: Folder of ``train.py``, there too.
        options: What a run asks for, e.g. ``num_cpus=4`` or ``num_gpus=1``.
        job: As in :func:`~cmim_mm.benchmark.work.work`.
    """

    def __init__(self, folder: str, tools: str, options: Mapping[str, Any], job: Any = None) -> None:
        self.arguments, self.job = (folder, tools), job
        ray.init(ignore_reinit_error=True, log_to_driver=False)
        # A process of its own for each run: MMEngine keeps state between Runners. Ray does not retry: the
        # next call does, under the rules of the store.
        self.task = ray.remote(max_calls=1, max_retries=0, **options)(work)
        self.flying: list[ray.ObjectRef] = []

    def submit(self, name: str, attempt: int) -> ray.ObjectRef:
        """Sends a run."""
        folder, tools = self.arguments
        handle = self.task.remote(folder, name, tools, attempt, 0, None, self.job)
        self.flying.append(handle)
        return handle

    def ended(self, handle: ray.ObjectRef) -> Optional[End]:
        """How the task ended, or None while it waits or runs."""
        if not ray.wait([handle], timeout=0)[0]:
            return None
        self.flying.remove(handle)
        try:
            ray.get(handle)
        except ray.exceptions.WorkerCrashedError as error:
            return End(str(error).strip().splitlines()[0], resumable=True)
        except ray.exceptions.RayError as error:
            return End(str(error).strip().splitlines()[-1])
        return End()

    def stop(self) -> None:
        """Ends what still runs."""
        for handle in self.flying:
            ray.cancel(handle, force=True)
        ray.shutdown()
