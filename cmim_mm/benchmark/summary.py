"""What the results of a grid say: means, differences to the baseline, intervals, and what is missing."""
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Optional

import numpy as np

from .figures import METRICS, read_sums, shown_metrics
from .plan import PRETRAIN, TRANSFER, TRIVIAL
from .statistics import Interval, holds_zero, image_intervals, mean_and_std, seed_interval
from .store import FAILED, FINISHED, Store


class Difference(NamedTuple):
    """To the baseline, over the seeds that both have."""
    mean: float
    seeds: Optional[Interval]
    images: Optional[Interval]

    @property
    def shown(self) -> bool:
        """Whether both intervals exclude 0; with one seed nothing is shown."""
        return all(interval and not holds_zero(interval) for interval in (self.seeds, self.images))


class Figure(NamedTuple):
    """A metric of a row."""
    mean: float
    std: Optional[float]
    values: tuple[float, ...]
    difference: Optional[Difference]


class Key(NamedTuple):
    """What the runs of a row have in common."""
    task: str
    mode: str
    share: int
    encoder: str


@dataclass
class Row:
    """All finished seeds of one cell of the grid."""
    key: Key
    runs: list[str]
    seeds: list[int]
    records: list[Mapping[str, Any]]
    figures: dict[str, Figure] = field(default_factory=dict)

    @property
    def cost(self) -> Mapping[str, Any]:
        return self.records[0].get('cost', {})

    @property
    def minutes(self) -> float:
        return float(np.mean([record.get('seconds', 0.0) for record in self.records])) / 60


@dataclass
class Summary:
    """Everything a report shows.

    Attributes:
        manifest: Of the grid.
        rows: Finished cells in the plan's order.
        metrics: Task -> metrics shown, the main one first.
        trivial: Task -> record of the predictor that never looks at the image.
        pretrained: Encoder -> record of its pretraining.
        missing: Run -> why it has no result.
        notes: Sentences about what not to conclude.
    """
    manifest: Mapping[str, Any]
    rows: list[Row]
    metrics: dict[str, list[str]]
    trivial: dict[str, Mapping[str, Any]]
    pretrained: dict[str, Mapping[str, Any]]
    missing: dict[str, str]
    notes: list[str] = field(default_factory=list)

    def cells(self, task: str, mode: Optional[str] = None, share: Optional[int] = None) -> Iterator[Row]:
        """The rows of a task, mode and share."""
        for row in self.rows:
            if row.key.task == task and mode in (None, row.key.mode) and share in (None, row.key.share):
                yield row

    def distinct(self, attribute: str, task: Optional[str] = None) -> list:
        """Values of 'task', 'mode', 'share' or 'encoder', in the rows' order."""
        return list(dict.fromkeys(
            getattr(row.key, attribute) for row in self.rows if task in (None, row.key.task)))


def summarize(store: Store) -> Summary:
    """Reads a grid's folder, finished or not."""
    manifest, records = store.manifest(), store.records()
    runs = manifest['runs']
    finished = {name: records[name] for name in runs
                if records.get(name, {}).get('status') == FINISHED}
    rows: dict[Key, Row] = {}
    for name, record in finished.items():
        run = runs[name]
        if run['kind'] == TRANSFER:
            key = Key(run['task'], run['mode'], run['share'], run['encoder'])
            row = rows.setdefault(key, Row(key, [], [], []))
            row.runs.append(name)
            row.seeds.append(run['seed'])
            row.records.append(record)
    metrics: dict[str, list[str]] = {}
    for row in rows.values():
        names = dict.fromkeys([*metrics.get(row.key.task, []), *row.records[0]['metrics']])
        wanted = [name for name in manifest.get('metrics') or [] if name in names]
        metrics[row.key.task] = wanted or shown_metrics(names)
    for row in rows.values():
        baseline = rows.get(row.key._replace(encoder=manifest['baselines'][row.key.task]))
        _fill(store, row, None if baseline is row else baseline, metrics[row.key.task])
    kinds: dict[str, dict] = {kind: {} for kind in (TRIVIAL, PRETRAIN)}
    for name, record in finished.items():
        run = runs[name]
        if run['kind'] in kinds:
            kinds[run['kind']][run['task'] if run['kind'] == TRIVIAL else run['encoder']] = record
    missing = {name: _why(store, name, records.get(name)) for name in runs if name not in finished}
    summary = Summary(manifest, list(rows.values()), metrics, kinds[TRIVIAL], kinds[PRETRAIN], missing)
    summary.notes = [*_chance_notes(summary), *_mixture_notes(finished), *_metric_notes(summary)]
    return summary


def _fill(store: Store, row: Row, baseline: Optional[Row], metrics: Sequence[str]) -> None:
    common = [seed for seed in row.seeds if baseline and seed in baseline.seeds]
    images = _images(store, row, baseline, common) if baseline and common else {}
    for metric in metrics:
        values = tuple(record['metrics'][metric] for record in row.records if metric in record['metrics'])
        if len(values) < len(row.records):
            continue
        difference = None
        if common and all(metric in record['metrics'] for record in baseline.records):
            own, other = (dict(zip(one.seeds, (record['metrics'][metric] for record in one.records)))
                          for one in (row, baseline))
            differences = [own[seed] - other[seed] for seed in common]
            difference = Difference(
                float(np.mean(differences)), seed_interval(differences), images.get(metric))
        row.figures[metric] = Figure(*mean_and_std(values), values, difference)


def _images(store: Store, row: Row, baseline: Row, seeds: Sequence[int]) -> dict[str, Interval]:
    pairs = []
    for seed in seeds:
        pair = tuple(read_sums(store.run_folder(one.runs[one.seeds.index(seed)]) / 'images.npz')
                     for one in (row, baseline))
        if None in pair:
            return {}
        pairs.append(pair)
    if any(not np.array_equal(sums['names'], pairs[0][0]['names']) for pair in pairs for sums in pair):
        return {}  # variants of the test data: nothing is paired
    return image_intervals(pairs)


def _why(store: Store, name: str, record: Optional[Mapping[str, Any]]) -> str:
    if record and record['status'] == FAILED:
        return f'failed: {record["error"]}'
    return 'running' if store.running(name) else 'not finished'


def _chance_notes(summary: Summary) -> Iterator[str]:
    """Which linear probes show nothing learned: no better than a constant, or than random weights."""
    random = summary.manifest.get('from_scratch', [])
    found: dict[str, list[str]] = {}
    for row in summary.rows:
        task, metric = row.key.task, summary.metrics[row.key.task][0]
        figure, trivial = row.figures.get(metric), summary.trivial.get(task)
        if row.key.mode != 'linear' or figure is None:
            continue
        sign = 1 if metric not in METRICS or METRICS[metric].higher_is_better else -1
        rivals = {}
        if trivial:
            rivals[f'than the {trivial["predictor"]}'] = [trivial['metrics'][metric]] * len(figure.values)
        for other in summary.cells(task, 'linear', row.key.share):
            same = other.cost.get('ops') == row.cost.get('ops') and other.seeds == row.seeds
            if same and other.key.encoder in random and row.key.encoder not in random:
                rivals[f'than random weights ({other.key.encoder})'] = other.figures[metric].values
        for rival, values in rivals.items():
            if not _above_zero([sign * (x - y) for x, y in zip(figure.values, values)]):
                labels = f' at {row.key.share} % of the labels' if row.key.share < 100 else ''
                what = f'no better {rival}, {metric} {np.mean(values):.4g} on {task}{labels}'
                found.setdefault(what, []).append(f'{row.key.encoder} {figure.mean:.4g}')
    for what, encoders in found.items():
        yield f'Not trained enough to compare, the linear probe is at chance: {what}: {", ".join(encoders)}.'


def _above_zero(margins: Sequence[float]) -> bool:
    interval = seed_interval(margins)
    return interval[0] > 0 if interval else margins[0] > 0


def _metric_notes(summary: Summary) -> Iterator[str]:
    found = {name: None for row in summary.rows for record in row.records for name in record['metrics']}
    for name in summary.manifest.get('metrics') or []:
        if found and name not in found:
            yield f'--metrics {name}: no run measured it; they measured {", ".join(found)}.'


def _mixture_notes(finished: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for what in ('versions', 'machine'):
        found = {tuple(sorted(record[what].items())) for record in finished.values() if what in record}
        if len(found) > 1:
            yield f'The runs were made with {len(found)} different sets of {what}; see results.json.'
