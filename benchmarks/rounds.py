"""Timing in rounds: everything takes its turn in each, so that other load on the machine hits all alike."""
import time
from typing import Callable

TURN_SECONDS = 0.05


def best_seconds(runs: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """The shortest call of each, after one to warm up. A turn lasts 0.05 s, and one call at least.

    What has ``note_nodes()`` notes its own profile after each call.
    """
    best = {}
    for name, run in runs.items():
        run()
        best[name] = float('inf')
    for _ in range(rounds):
        for name, run in runs.items():
            end = time.perf_counter() + TURN_SECONDS
            while True:
                start = time.perf_counter()
                run()
                stop = time.perf_counter()
                best[name] = min(best[name], stop - start)
                if hasattr(run, 'note_nodes'):
                    run.note_nodes()
                if stop >= end:
                    break
    return best
