"""How far a grid is, read from its folder alone, so from any terminal."""
import time
from dataclasses import dataclass
from typing import Any, Optional

from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from .curves import last_step
from .store import FAILED, FINISHED, Store


@dataclass
class Progress:
    """Where a grid stands.

    Attributes:
        finished, failed, total: Numbers of runs.
        running: Name -> share of its training steps that is done, None where that is not known.
        seconds_left: Of all runs together at the present number at a time; None before the first has ended.
    """
    finished: int
    failed: int
    total: int
    running: dict[str, Optional[float]]
    seconds_left: Optional[float]

    @property
    def over(self) -> bool:
        return self.finished + self.failed == self.total


def read_progress(store: Store) -> Progress:
    """Estimates what is left from the finished runs: of the same task and mode, or else of all."""
    runs, records = store.manifest()['runs'], store.records()
    status = {name: records[name]['status'] for name in runs if name in records}
    # A resumed run's time is not that of a whole one.
    times: dict[Any, list[float]] = {}
    for name in status:
        if status[name] == FINISHED and not records[name].get('resumed_from'):
            for group in (_group(runs[name]), None):
                times.setdefault(group, []).append(records[name]['seconds'])
    running, left = {}, 0.0
    for name in runs.keys() - status.keys():
        share = 0.0
        if store.running(name):
            steps = runs[name]['steps']
            running[name] = min(last_step(store.run_folder(name)) / steps, 1.0) if steps else None
            share = running[name] or 0.0
        known = times.get(_group(runs[name]), times.get(None, []))
        left += (1 - share) * sum(known) / max(len(known), 1)
    return Progress(sum(s == FINISHED for s in status.values()), sum(s == FAILED for s in status.values()),
                    len(runs), dict(sorted(running.items())), left / max(len(running), 1) if times else None)


def watch(store: Store, seconds: float = 2.0) -> None:
    """Shows the progress until every run has ended; Ctrl-C leaves the grid alone."""
    with Live(refresh_per_second=1) as live:
        while True:
            progress = read_progress(store)
            live.update(show(progress))
            if progress.over:
                return
            time.sleep(seconds)


def show(progress: Progress) -> Group:
    """For a terminal."""
    counts = f'{progress.finished} of {progress.total} runs finished'
    if progress.failed:
        counts += f', {progress.failed} failed'
    if progress.over:
        eta = ''
    elif not progress.running:
        eta = 'nothing is running: call the tool again to go on'
    elif progress.seconds_left is None:
        eta = 'time left: not known before the first run has ended'
    else:
        eta = f'about {format_seconds(progress.seconds_left)} left'
    table = Table.grid(padding=(0, 2))
    for name, share in progress.running.items():
        table.add_row(name, '' if share is None else f'{100 * share:.0f} %',
                      ProgressBar(1.0, share or 0.0, width=30))
    bar = ProgressBar(progress.total, progress.finished + progress.failed, width=60)
    return Group(Text(counts), bar, table, Text(eta))


def format_seconds(seconds: float) -> str:
    """As hours and minutes, or minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f'{hours} h {minutes:02d} min' if hours else f'{minutes} min {rest:02d} s'


def _group(run: dict) -> tuple:
    return run['kind'], run['task'], run['mode']
