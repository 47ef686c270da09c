"""Sends the runs of a grid out until each has ended: which may start, which must wait, which is over."""
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Optional, Protocol

from .store import FAILED, FINISHED, Store


class End(NamedTuple):
    """How the process of a run ended: what was wrong, if anything, and whether it may go on later."""
    problem: str = ''
    resumable: bool = False


class Executor(Protocol):
    """Where runs are carried out."""

    def submit(self, name: str, attempt: int) -> Any:
        """Starts :func:`~cmim_mm.benchmark.work.work` of a run somewhere; returns a handle."""

    def ended(self, handle: Any) -> Optional[End]:
        """How it ended, or None while it runs."""

    def stop(self) -> None:
        """Ends what still runs."""


@dataclass
class Outcome:
    """Names of the runs by how they ended in this call."""
    finished: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    interrupted: list[str] = field(default_factory=list)
    blocked: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        return not (self.failed or self.interrupted or self.blocked)


def run_grid(store: Store, needs: Mapping[str, Iterable[str]], executor: Executor, jobs: int,
             retry: bool = False, say: Callable[[str], None] = print, pause: float = 0.2) -> Outcome:
    """Carries out every run once.

    A run starts when what it needs has finished and no other process has it. A finished one is left
    alone; a failed one too, unless ``retry``; one whose needs failed is blocked. A process that a signal
    ended from outside (killed, out of memory, preempted) leaves its run unfinished: the next call resumes it.

    Args:
        store: Of the grid.
        needs: Run -> runs that must have finished before; in the order of preference.
        executor: Where to.
        jobs: Runs at a time.
        retry: Whether to try once more what had failed before this call.
        say: Takes a line for each run that ended.
        pause: Seconds between two looks.
    """
    failed_before = {name: store.attempts(name) for name, record in store.records().items()
                     if retry and record['status'] == FAILED}
    outcome, pending, flying = Outcome(), dict.fromkeys(needs), {}
    ended: dict[str, str] = {}  # run -> how
    known = {name for name, record in store.records().items() if record['status'] == FINISHED}

    def status(name: str) -> str:
        if name in ended:
            return ended[name]
        record = store.records().get(name)
        if record is None or failed_before.get(name) == store.attempts(name):
            return ''
        return record['status']

    def settle(name: str, how: str, text: str = '') -> None:
        ended[name] = how
        getattr(outcome, how).append(name)
        pending.pop(name, None)
        if text:
            say(f'[{len(ended)}/{len(needs)}] {name}: {text}')

    try:
        while pending:
            for name, handle in list(flying.items()):
                end = executor.ended(handle)
                if end is None:
                    continue
                del flying[name]
                if status(name) or not end.problem:
                    continue
                if end.resumable:
                    settle(name, 'interrupted', f'interrupted, {end.problem}; the same command resumes it')
                else:
                    store.append({'run': name, 'status': FAILED, 'error': end.problem, 'ended': time.time()})
            for name in list(pending):
                if name in flying:
                    continue
                how = status(name)
                if how:
                    settle(name, how, '' if name in known else _text(store.records()[name]))
                elif {status(other) for other in needs[name]} & {'failed', 'interrupted', 'blocked'}:
                    settle(name, 'blocked', 'not started, what it needs has not finished')
                elif (len(flying) < jobs and all(status(other) == FINISHED for other in needs[name])
                      and not store.running(name)):
                    flying[name] = executor.submit(name, store.attempts(name))
            if pending:
                time.sleep(pause)
    finally:
        executor.stop()
    return outcome


def _text(record: Mapping[str, Any]) -> str:
    if record['status'] == FINISHED:
        return f'{record.get("seconds", 0) / 60:.1f} minutes'
    return f'failed, {record["error"]}'
