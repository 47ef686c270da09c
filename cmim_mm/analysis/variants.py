"""Variants of a config: which there are, whether one has been trained, what it scored, and their table."""
import hashlib
import itertools
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import NamedTuple, Optional

from cmim_mm.atomic import write_atomically

RESULT = 'result.json'


class Variant(NamedTuple):
    """One training: a config, what it overrides, a seed.

    Attributes:
        config: Path of the config.
        options: Key -> value, as text, the way ``--cfg-options`` takes them.
        seed: Of the run.
    """
    config: str
    options: dict[str, str]
    seed: int

    @property
    def name(self) -> str:
        """What tells it from its neighbours, without the seed: 'irnet_r20 binarizer=ReCU'."""
        return ' '.join([Path(self.config).stem, *(f'{key.rpartition(".")[2]}={value}'
                                                   for key, value in self.options.items())])

    def folder(self, root: Path) -> Path:
        """Its work folder; equal for equal variants only."""
        text = ' '.join(f'{key}={value}' for key, value in self.options.items())
        name = re.sub(r'[^\w=.,-]+', '_', text) or 'as_is'
        if len(name) > 120:  # file systems end at 255
            name = f'{name[:100]}-{hashlib.sha256(text.encode()).hexdigest()[:12]}'
        return root / Path(self.config).stem / name / f'seed{self.seed}'


def grid(configs: Sequence[str], vary: Mapping[str, Sequence[str]], seeds: Sequence[int]) -> list[Variant]:
    """Every config with every combination of the varied keys' values and every seed.

    Args:
        configs: Paths; one with options of its own is 'path KEY=VALUE KEY=VALUE'.
        vary: Key -> values.
        seeds: Of the runs.
    """
    combinations = [dict(zip(vary, values)) for values in itertools.product(*vary.values())]
    variants = []
    for config in configs:
        path, *own = config.split()
        options = dict(pair.split('=', 1) for pair in own)
        variants += [Variant(path, {**options, **more}, seed) for more in combinations for seed in seeds]
    return variants


def read_result(folder: Path) -> Optional[dict]:
    """What :func:`write_result` left in a work folder, or None while its training has not ended."""
    path = folder / RESULT
    return json.loads(path.read_text()) if path.is_file() else None


def write_result(folder: Path, minutes: float) -> dict:
    """Collects the last validation of an ended training into ``result.json``.

    Args:
        folder: Work folder of the training.
        minutes: Its wall-clock time.

    Returns:
        ``metrics``: name -> value; ``step``: of that validation; ``minutes``.

    Raises:
        FileNotFoundError: The logs hold no validation.
    """
    records = [json.loads(line) for log in sorted(folder.glob('*/vis_data/scalars.json'))
               for line in log.read_text().splitlines()]
    validations = [record for record in records if not _is_other(record)]
    if not validations:
        raise FileNotFoundError(f'{folder}: its logs hold no validation; set train_cfg.val_interval to at '
                                'most train_cfg.max_iters')
    last = validations[-1]
    metrics = {key: value for key, value in last.items()
               if key not in ('step', 'time', 'data_time') and isinstance(value, (int, float))}
    result = {'metrics': metrics, 'step': last.get('step'), 'minutes': minutes}
    write_atomically(json.dumps(result, indent=2).encode(), folder / RESULT)
    return result


def _is_other(record: dict) -> bool:
    """Whether a line of the log is of a training step or of probes."""
    return any(key in ('lr', 'base_lr') or key.startswith('probe/') for key in record)


def summarize(variants: Sequence[Variant], results: Sequence[Optional[dict]],
              metrics: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the table, one row for all seeds of a variant.

    A cell is the mean over the seeds, with '± standard deviation' where there are two or more. A variant
    whose training did not end has 'failed', a metric that it has not got '-'.

    Args:
        variants: The trainings.
        results: What :func:`write_result` gave for each, or None.
        metrics: Columns.
    """
    rows: dict[str, list[Optional[dict]]] = {}
    for variant, result in zip(variants, results):
        rows.setdefault(variant.name, []).append(result)
    table = []
    for name, found in rows.items():
        ended = [result for result in found if result]
        cells = [_cell([r['metrics'][metric] for r in ended if metric in r['metrics']]) for metric in metrics]
        if not ended:
            cells = ['failed'] * len(metrics)
        minutes = _cell([r['minutes'] for r in ended], digits=1)
        table.append([name, *cells, str(len(ended)), minutes])
    return ['variant', *metrics, 'seeds', 'minutes'], table


def _cell(values: Sequence[float], digits: int = 4) -> str:
    if not values:
        return '-'
    text = f'{mean(values):.{digits}g}' if digits > 1 else f'{mean(values):.1f}'
    return text + (f' ± {stdev(values):.2g}' if len(values) > 1 else '')
