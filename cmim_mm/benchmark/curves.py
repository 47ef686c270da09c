"""Learning curves from the logs of a training, also of one that was resumed."""
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

#: Of one curve; a report needs no more.
POINTS = 100


def read_curves(folder: Path, points: int = POINTS) -> dict[str, list[tuple[int, float]]]:
    """Name -> (step, value): ``loss`` of the training steps, and what was validated.

    A step that a resumed run did again counts as it did it last. Long curves keep evenly spread points,
    the last one among them.

    Args:
        folder: Work folder of the training.
        points: Points of a curve at most.
    """
    curves: dict[str, dict[int, float]] = {}
    for record in _records(folder):
        if any(key.startswith('probe/') for key in record):
            continue
        training = 'lr' in record or 'base_lr' in record
        for key in ['loss'] if training else record.keys() - {'step', 'time', 'data_time'}:
            if isinstance(record.get(key), (int, float)):
                curves.setdefault(key, {})[record['step']] = record[key]
    return {name: _thinned(sorted(curve.items()), points) for name, curve in sorted(curves.items())}


def read_probes(folder: Path) -> dict[str, float]:
    """Name such as ``probe/bound/layer3.1.conv2`` -> what ``ProbeHook`` measured last; of flips the total.

    Args:
        folder: Work folder of the training.
    """
    found: dict[str, float] = {}
    for record in _records(folder):
        found.update((key, value) for key, value in record.items() if key.startswith('probe/')
                     and (key == 'probe/flips/total' or not key.startswith('probe/flips/')))
    return found


def last_step(folder: Path) -> int:
    """The last training step that was logged, 0 before the first."""
    return max((record['step'] for record in _records(folder)), default=0)


def _records(folder: Path) -> Iterator[dict[str, Any]]:
    for log in sorted(folder.glob('*/vis_data/scalars.json')):  # folders are named by their time
        for line in log.read_text().splitlines():
            try:
                record = json.loads(line)
            except ValueError:  # cut short by a kill
                continue
            if isinstance(record, dict) and isinstance(record.get('step'), int):
                yield record


def _thinned(curve: list[tuple[int, float]], points: int) -> list[tuple[int, float]]:
    if len(curve) <= points:
        return curve
    return [curve[round(i * (len(curve) - 1) / (points - 1))] for i in range(points)]
