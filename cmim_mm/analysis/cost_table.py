"""A :class:`Cost` as text, Markdown, CSV or JSON."""
import csv
import io
import json
from collections.abc import Mapping
from typing import Callable

from .cost import Cost

COLUMNS = ('name', 'type', 'input_bits', 'weight_bits', 'params', 'flops', 'bops', 'ops', 'bytes')


def format_cost(cost: Cost, style: str = 'table') -> str:
    """Table of all layers with a last row of totals.

    Args:
        cost: What :func:`model_cost` returned.
        style: 'table', 'markdown', 'csv' or 'json'.

    Raises:
        ValueError: Another style.
    """
    if style not in STYLES:
        raise ValueError(f'unknown style {style!r}; valid are {", ".join(STYLES)}')
    return STYLES[style](cost)


def format_totals(costs: Mapping[str, Cost]) -> str:
    """One row of totals a network, in Markdown.

    Args:
        costs: Name -> what :func:`model_cost` returned.
    """
    keys = ('params', 'flops', 'bops', 'ops', 'bytes')
    lines = [('network', *keys), ('---', *['---:'] * len(keys))]
    lines += [(name, *(_cell(key, cost.total[key]) for key in keys)) for name, cost in costs.items()]
    return ''.join(f'| {" | ".join(line)} |\n' for line in lines)


def _columns(cost: Cost) -> tuple[str, ...]:
    return (*COLUMNS, 'ms') if cost.times else COLUMNS


def _rows(cost: Cost) -> list[dict]:
    rows = [{key: getattr(layer, key) for key in COLUMNS} for layer in cost.layers]
    rows.append(dict(dict.fromkeys(COLUMNS, ''), name='total', **cost.total))
    if cost.times:
        for row in rows:
            row['ms'] = cost.times.get(row['name'], '')
    return rows


def _csv(cost: Cost) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, _columns(cost), lineterminator='\n')
    writer.writeheader()
    writer.writerows(_rows(cost))
    return text.getvalue()


def _json(cost: Cost) -> str:
    *layers, last = _rows(cost)
    total = {**cost.total, 'ms': last['ms']} if cost.times else cost.total
    report = dict(input_shape=cost.input_shape, total=total, layers=layers)
    return json.dumps(report, indent=2) + '\n'


def _markdown(cost: Cost) -> str:
    header, *cells = _cells(cost)
    lines = [header, ['---'] * 2 + ['---:'] * (len(header) - 2), *cells]
    return ''.join(f'| {" | ".join(line)} |\n' for line in lines)


def _table(cost: Cost) -> str:
    cells = _cells(cost)
    widths = [max(map(len, column)) for column in zip(*cells)]
    lines = ['  '.join(text.ljust(w) if i < 2 else text.rjust(w)
                       for i, (text, w) in enumerate(zip(line, widths))) for line in cells]
    rule = '-' * len(lines[0])
    shape = ' x '.join(map(str, cost.input_shape))
    note = f'One image of {shape}; OPs = FLOPs + BOPs / 64; 1 bit a binary weight, 32 any other parameter.'
    if cost.times:
        note += ' Milliseconds: packed, norms and what is joined with a layer included.'
    return '\n'.join([lines[0], rule, *lines[1:-1], rule, lines[-1], note]) + '\n'


def _cells(cost: Cost) -> list[list[str]]:
    columns = _columns(cost)
    return [list(columns), *([_cell(key, row[key]) for key in columns] for row in _rows(cost))]


def _cell(key: str, value) -> str:
    """Counts and bytes with separators, operations as powers of ten."""
    if key in ('params', 'bytes'):
        return f'{value:,.0f}'
    if key == 'ms' and value != '':
        return f'{value:.2f}'
    return f'{value:.3e}' if key in ('flops', 'bops', 'ops') and value else str(value)


STYLES: dict[str, Callable[[Cost], str]] = dict(table=_table, markdown=_markdown, csv=_csv, json=_json)
