"""Tables and plots of a Markdown page, generated from the results of grids that lie beside it.

A block of the page names a grid's ``results.json`` and a task, and holds what was made of them::

    <!-- results: study/transfer.json segmentation mIoU aAcc -->
    | encoder | ... |
    <!-- end -->
    <!-- plot: study/transfer.json segmentation mIoU images/transfer.svg -->
    ![mIoU (%) of each encoder, a dot for each seed](images/transfer.svg)
    <!-- end -->

``study/one.json,study/other.json`` takes the rows of both, each with the difference to its own baseline.
Columns of a table are metrics, or ``GOPs`` and ``MB``, what the network costs at the size of the run.
"""
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional

from cmim_mm.engine.cli import format_table

from .plots import dots, title
from .summary import Difference, Figure
from .text import difference_text, mean_text

#: Column of a table -> key and unit of a row's cost.
COSTS = dict(GOPs=('ops', 1e9), MB=('bytes', 1e6))

_BLOCK = re.compile(
    r'(?P<head><!-- (?P<kind>results|plot): (?P<asked>[^\n]*?) -->\n).*?(?P<end><!-- end -->)', re.DOTALL)


class PageError(ValueError):
    """A block that cannot be filled; the message names the page, the block and what is wrong."""


def fill(page: Path) -> str:
    """The page with every block made anew.

    Raises:
        PageError: A block names a file, task or metric that is not there, lacks one of them, or has no end.
    """
    text = page.read_text()
    if len(re.findall('<!-- (?:results|plot): ', text)) != len(_BLOCK.findall(text)):
        raise PageError(f'{page}: a block that begins with "<!-- results: ... -->" or "<!-- plot: ... -->" '
                        'has no "<!-- end -->"')
    for block in _BLOCK.finditer(text):
        words = block['asked'].split()
        one_image = len(words) == 4 and words[-1].endswith('.svg')
        if not set(words[2:]) - set(COSTS) or block['kind'] == 'plot' and not one_image:
            raise PageError(f'{page}: <!-- {block["kind"]}: {block["asked"]} -->: expected <!-- results: '
                            'FILE TASK METRIC ... --> or <!-- plot: FILE TASK METRIC IMAGE.svg -->')
    made = {'results': _table, 'plot': _link}
    return _BLOCK.sub(
        lambda block: f'{block["head"]}{made[block["kind"]](page, block["asked"])}\n{block["end"]}', text)


def plots(page: Path) -> dict[Path, str]:
    """Path -> SVG of the page's plots.

    Raises:
        PageError: As of :func:`fill`.
    """
    found = {}
    for block in _BLOCK.finditer(page.read_text()):
        if block['kind'] == 'plot':
            *asked, metric, image = block['asked'].split()
            rows = _rows(page, block['asked'], *asked, metric)
            named = [(_name(row), row['figures'][metric]['values'])
                     for row in rows if metric in row['figures']]
            if len(dict(named)) < len(named):
                raise PageError(f'{page}: {block["asked"]}: several rows have one name; plot the files apart')
            found[page.parent / image] = dots(dict(named), title(metric))
    return found


def _name(row: Mapping[str, Any]) -> str:
    return (row['encoder'] + ('' if row['mode'] in ('', 'finetune') else f', {row["mode"]}')
            + ('' if row['share'] == 100 else f', {row["share"]} %'))


def _link(page: Path, asked: str) -> str:
    *_, metric, image = asked.split()
    return f'![{title(metric)} of each encoder, a dot for each seed]({image})'


def _rows(page: Path, asked: str, files: str, task: str, *metrics: str) -> list[Mapping[str, Any]]:
    rows = []
    for path in (page.parent / file for file in files.split(',')):
        if not path.is_file():
            raise PageError(f'{page}: {asked}: there is no {path}; copy the results.json of a grid there')
        held = json.loads(path.read_text())['rows']
        rows += (found := [row for row in held if row['task'] == task])
        if not found:
            tasks = ', '.join(sorted({row['task'] for row in held}))
            raise PageError(f'{page}: {asked}: {path} has no task {task!r}; it has {tasks}')
    known = {metric for row in rows for metric in row['figures']}
    for metric in metrics:
        if metric not in known:
            raise PageError(f'{page}: {asked}: {files} has no metric {metric!r}; it has '
                            f'{", ".join(sorted(known))}')
    return rows


def _table(page: Path, asked: str) -> str:
    files, task, *columns = asked.split()
    metrics = [column for column in columns if column not in COSTS]
    rows = _rows(page, asked, files, task, *metrics)
    header = ['encoder', 'mode', 'labels', 'seeds', *columns, f'Δ {metrics[0]} [seeds] [images]']
    cells = [[row['encoder'], row['mode'] or '-', f'{row["share"]} %', str(len(row['seeds'])),
              *(_cost(row, column) if column in COSTS else mean_text(_figure(row, column))
                for column in columns),
              difference_text(_figure(row, metrics[0]))] for row in rows]
    return format_table(header, cells)


def _cost(row: Mapping[str, Any], column: str) -> str:
    key, unit = COSTS[column]
    value = row['cost'].get(key)
    return '-' if value is None else f'{value / unit:.3g}' if value < 1000 * unit else f'{value / unit:,.0f}'


def _figure(row: Mapping[str, Any], metric: str) -> Optional[Figure]:
    found = row['figures'].get(metric)
    if found is None:
        return None
    difference = found['difference'] and Difference(
        *(found['difference'][name] for name in Difference._fields))
    return Figure(found['mean'], found['std'], tuple(found['values']), difference)
