"""Variants of configs: the one-dimensional grid of ``tools/compare.py``."""
import hashlib
import itertools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Optional

from mmengine.config import Config, DictAction

from .grid import GridError
from .plan import TRANSFER, Run, make_run

#: '[LABEL: ]CONFIG KEY=VALUE ...'; a label enters tables, plots and pages.
_VARIANT = re.compile(r'(?:([^\n=|$<>]*\S): +)?(\S+)((?:\s+[^\s=]+=\S*)*)\s*')
#: Metric in ``test_evaluator`` -> what a run is about; runs about one thing are compared.
_TASKS = {'IoUMetric': 'segmentation', 'DepthPixelMetric': 'depth', 'TopKAccuracy': 'classification'}


class Variant(NamedTuple):
    """A config and what it overrides.

    Attributes:
        config: Path of the config.
        options: Key -> value, as text, the way ``--cfg-options`` takes them.
        label: What reports call it, in the place of config and options; '' for none.
    """
    config: str
    options: dict[str, str]
    label: str = ''

    def __str__(self) -> str:
        label = f'{self.label}: ' if self.label else ''
        return f"'{' '.join([label + self.config, *_pairs(self.options)])}'"

    @property
    def name(self) -> str:
        """What tells it from its neighbours: its label, or 'irnet_r20 binarizer=ReCU'."""
        return self.label or _named(Path(self.config).stem, self.options)

    @property
    def folder(self) -> str:
        """Its work folder below ``runs/``; equal for equal variants only."""
        text = ' '.join(_pairs(self.options))
        name = re.sub(r'[^\w=.,-]+', '_', text) or 'as_is'
        if len(name) > 120:  # file systems end at 255
            name = f'{name[:100]}-{hashlib.sha256(text.encode()).hexdigest()[:12]}'
        return f'{Path(self.config).stem}/{name}'


def grid(configs: Sequence[str], vary: Mapping[str, Sequence[str]]) -> list[Variant]:
    """Every config with every combination of the varied keys' values.

    Args:
        configs: As :func:`split_config` reads them.
        vary: Key -> values.
    """
    combinations = [dict(zip(vary, values)) for values in itertools.product(*vary.values())]
    variants = []
    for config in configs:
        label, path, options = split_config(config)
        variants += [Variant(path, {**options, **more}, label and _named(label, more))
                     for more in combinations]
    return variants


def split_config(text: str) -> tuple[str, str, dict[str, str]]:
    """(label or '', path, options) of '[LABEL: ]CONFIG KEY=VALUE KEY=VALUE ...'.

    Raises:
        ValueError: It is not of that form.
    """
    found = _VARIANT.fullmatch(text)
    if found is None:
        raise ValueError("expected '[LABEL: ]CONFIG KEY=VALUE ...', values without white space, labels "
                         f"without any of = | $ < >, got '{text}'")
    label, path, options = found.groups()
    return label or '', path, dict(option.split('=', 1) for option in options.split())


def _pairs(options: Mapping[str, str]) -> list[str]:
    return [f'{key}={value}' for key, value in options.items()]


def _named(name: str, options: Mapping[str, str]) -> str:
    """With the last part of each key."""
    return ' '.join([name, *(f'{key.rpartition(".")[2]}={value}' for key, value in options.items())])


def parse_options(options: Mapping[str, str]) -> dict[str, Any]:
    """Texts as ``--cfg-options`` reads them."""
    return {key: DictAction._parse_iterable(value) for key, value in options.items()}


def plan_variants(variants: Sequence[tuple[Variant, Config]], seeds: Sequence[int]) -> list[Run]:
    """One run for each variant and seed.

    Args:
        variants: Each with its config, options merged.
        seeds: Of the runs.

    Raises:
        GridError: Two variants would share a folder, or a row of the report.
    """
    runs: list[Run] = []
    folders: dict[str, Variant] = {}
    rows: dict[tuple[str, str], Variant] = {}
    for variant, cfg in variants:
        other = folders.setdefault(variant.folder, variant)
        if other != variant:
            raise GridError(f'{other} and {variant} would share the folder {variant.folder}: give a training '
                            'one label, or rename a config')
        other = rows.setdefault((_task(cfg), variant.name), variant)
        if other != variant:
            raise GridError(f'{other} and {variant} would both be called {variant.name!r}: give each a label '
                            'of its own, "LABEL: CONFIG KEY=VALUE ..."')
        for seed in dict.fromkeys(seeds):
            one = Config(cfg.to_dict())
            one.merge_from_dict({'randomness.seed': seed})
            runs.append(make_run(one, f'{variant.folder}/seed{seed}', TRANSFER, encoder=variant.name,
                                 task=_task(one), seed=seed))
    return runs


def _task(cfg: Config) -> str:
    evaluator: Optional[Any] = cfg.get('test_evaluator') or cfg.get('val_evaluator') or {}
    metrics = evaluator if isinstance(evaluator, (list, tuple)) else [evaluator]
    names = [str(metric.get('type')).rpartition('.')[2] for metric in metrics]
    return next((_TASKS[name] for name in names if name in _TASKS), 'all')
