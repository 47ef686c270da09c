"""The report of a grid: CSV, JSON, Markdown and one HTML page that needs nothing but itself."""
import csv
import io
import json
import math
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from cmim_mm.atomic import write_atomically
from cmim_mm.engine.cli import format_table

from . import plots
from .figures import METRICS, class_figures, read_sums
from .painted import painted_strips
from .protocol import is_synthetic, protocol
from .store import Store
from .summary import Difference, Figure, Summary, summarize
from .text import difference_text, interval_text, mean_text, verdict

DATA = Path(__file__).parent / 'data'
_COLUMNS = ('task', 'mode', 'share', 'encoder', 'metric', 'seeds', 'mean', 'std', 'difference', 'seeds_low',
            'seeds_high', 'images_low', 'images_high', 'shown', 'ops', 'params', 'bytes', 'minutes')


def write_report(store: Store) -> str:
    """Writes ``results.csv``, ``.json``, ``.md`` and ``report.html`` into the grid's folder.

    Returns:
        The Markdown, and where the page is.
    """
    summary = summarize(store)
    texts = {'results.csv': to_csv(summary), 'results.json': to_json(summary, store),
             'results.md': to_markdown(summary), 'report.html': to_html(summary, store)}
    with store.alone():
        for name, text in texts.items():
            write_atomically(text.encode(), store.folder / name)
    return f'{texts["results.md"]}\nReport: {store.folder / "report.html"}'


def to_csv(summary: Summary) -> str:
    """A line for each cell of the grid and metric; empty where something does not apply."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS, lineterminator='\n')
    writer.writeheader()
    for row in summary.rows:
        for metric, figure in row.figures.items():
            difference = figure.difference
            low_high = {f'{name}_{end}': interval[i] for name in ('seeds', 'images')
                        for i, end in enumerate(('low', 'high'))
                        if (interval := getattr(difference, name, None)) is not None}
            writer.writerow({
                **row.key._asdict(), 'metric': metric, 'seeds': len(figure.values), 'mean': figure.mean,
                'std': figure.std, 'difference': difference and difference.mean, **low_high,
                'shown': difference and difference.shown, 'minutes': round(row.minutes, 3),
                **{key: row.cost.get(key) for key in ('ops', 'params', 'bytes')}})
    return text.getvalue()


def to_json(summary: Summary, store: Store) -> str:
    """Everything: the cells, each run's own line, and what is missing. What is no number is null."""
    rows = [{**row.key._asdict(), 'seeds': row.seeds, 'runs': row.runs, 'cost': row.cost,
             'minutes': row.minutes,
             'figures': {metric: _figure(figure) for metric, figure in row.figures.items()}}
            for row in summary.rows]
    runs = {name: {**record, 'config': summary.manifest['runs'][name]['config']}
            for name, record in store.records().items() if name in summary.manifest['runs']}
    content = {'title': summary.manifest['title'], 'baselines': summary.manifest['baselines'],
               'notes': summary.notes, 'missing': summary.missing, 'rows': rows, 'runs': runs}
    return json.dumps(_finite(content), indent=1) + '\n'


def _figure(figure: Figure) -> dict[str, Any]:
    difference = figure.difference
    return {**figure._asdict(),
            'difference': difference and {**difference._asdict(), 'shown': difference.shown}}


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def to_markdown(summary: Summary) -> str:
    """A table a task: mean ± standard deviation, and the main metric's difference with its intervals."""
    parts = [f'# {summary.manifest["title"]}', *(f'**{note}**' for note in summary.notes)]
    for task in summary.distinct('task'):
        metrics = summary.metrics[task]
        cells = [[row.key.encoder, row.key.mode or '-', f'{row.key.share} %', str(len(row.seeds)),
                  *(mean_text(row.figures.get(metric)) for metric in metrics),
                  difference_text(row.figures.get(metrics[0])), f'{row.minutes:.1f}']
                 for row in summary.cells(task)]
        header = ['encoder', 'mode', 'labels', 'seeds', *metrics, f'Δ {metrics[0]} [seeds] [images]',
                  'minutes']
        parts.append(f'## {task}\n\n{format_table(header, cells)}')
    if summary.missing:
        parts.append(f'## {len(summary.missing)} runs without a result\n\n' + '\n'.join(
            f'- {why}: {_few(names)}' for why, names in _by_reason(summary.missing).items()))
    machine = ', '.join(f'{key} {value}' for key, value in summary.manifest['machine'].items())
    versions = ', '.join(f'{key} {value}' for key, value in summary.manifest['versions'].items())
    parts.append(f'{machine}; {versions}\n\n    {summary.manifest["command"]}')
    return '\n\n'.join(parts) + '\n'


def _by_reason(missing: Mapping[str, str]) -> dict[str, list[str]]:
    reasons: dict[str, list[str]] = {}
    for name, why in missing.items():
        reasons.setdefault(why, []).append(name)
    return reasons


def _few(names: list[str], shown: int = 5) -> str:
    return ', '.join(names[:shown]) + (f' and {len(names) - shown} more' if len(names) > shown else '')


def _tone(difference: Difference, metric: str) -> str:
    """Class of the page's style: whether the difference is shown to be for better or for worse."""
    if not difference.shown or metric not in METRICS:
        return ''
    return 'good' if (difference.mean > 0) == METRICS[metric].higher_is_better else 'warn'


def to_html(summary: Summary, store: Store) -> str:
    """The page."""
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(
        mean=mean_text, interval=interval_text, verdict=verdict, title=plots.title, tone=_tone)
    template = environment.from_string((DATA / 'report.html').read_text())
    encoders = summary.distinct('encoder')
    real = not any(is_synthetic(root) for root in summary.manifest['data'])
    published = json.loads((DATA / 'published.json').read_text()) if real and summary.trivial else None
    tasks = [_task(summary, store, task) for task in summary.distinct('task')]
    colors = {encoder: plots.color(encoders, encoder) for encoder in encoders}
    configs = {row.key.encoder: f'{store.run_folder(row.runs[0])}/config.py' for row in summary.rows}
    return template.render(
        summary=summary, manifest=summary.manifest, tasks=tasks, colors=colors, published=published,
        protocol=protocol(store.folder, summary), missing=_by_reason(summary.missing),
        finished=len(summary.manifest['runs']) - len(summary.missing),
        repeat=[f'python tools/train.py {shlex.quote(path)} --work-dir work_dirs/again'
                for path in configs.values()])


def _task(summary: Summary, store: Store, task: str) -> dict[str, Any]:
    share = max(summary.distinct('share', task))
    modes = summary.distinct('mode', task)
    figures = {}
    for mode in modes:
        drawn = {**plots.curves(summary, task, mode, share),
                 'accuracy against cost': plots.against_cost(summary, task, mode, share),
                 'accuracy against the share of labels': plots.against_share(summary, task, mode)}
        figures[mode] = {name: svg for name, svg in drawn.items() if svg}
    return {'name': task, 'metrics': summary.metrics[task], 'rows': list(summary.cells(task)),
            'trivial': summary.trivial.get(task), 'figures': figures, 'share': share,
            'baseline': summary.manifest['baselines'][task], 'strips': painted_strips(store, summary, task),
            'classes': list(_class_tables(summary, store, task, share))}


def _class_tables(summary: Summary, store: Store, task: str, share: int) -> Iterator[dict[str, Any]]:
    """IoU of each class, the mean over seeds, for each mode."""
    for mode in summary.distinct('mode', task):
        sums = {row.key.encoder: [read_sums(store.run_folder(name) / 'images.npz') for name in row.runs]
                for row in summary.cells(task, mode, share)}
        sums = {encoder: runs for encoder, runs in sums.items()
                if all(one and 'areas' in one for one in runs)}
        if sums:
            columns = [np.mean([class_figures(one) for one in runs], axis=0) for runs in sums.values()]
            names = next(iter(sums.values()))[0]['classes'].tolist()
            yield {'mode': mode, 'encoders': list(sums), 'rows': list(zip(names, zip(*columns)))}
