"""From a grid to its runs, each with an ordinary config of its own."""
import hashlib
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Optional

from mmengine.config import Config

from cmim_mm.datasets.data_root import dataset_cfgs
from cmim_mm.engine.cli import ToolError, check_data_roots, load_config

from .grid import Grid, GridError
from .probe import Backbones, to_linear_probe
from .subsets import Subsets

#: Kinds of runs: what encoders come from, predictors that never look at the image, and what is compared.
PRETRAIN, TRIVIAL, TRANSFER = 'pretrain', 'trivial', 'transfer'


@dataclass(frozen=True)
class Run:
    """One training, or one trivial predictor.

    Attributes:
        name: Path of its folder below ``runs/``.
        kind: 'pretrain', 'trivial' or 'transfer'.
        config: Text of its config.
        data: Data folders that it reads.
        steps: Training steps, 0 where none are or the config counts epochs.
        encoder: What it trains from.
        task: What on.
        mode: 'finetune', 'frozen' or 'linear'.
        share: Of the training images, in percent.
        seed: Of the run.
        checkpoint: Which one is tested: 'last' or 'best'.
        needs: Names of the runs that must have finished before.
        painted: Names of the test images whose predictions are kept.
    """
    name: str
    kind: str
    config: str
    data: tuple[str, ...] = ()
    steps: int = 0
    encoder: str = ''
    task: str = ''
    mode: str = ''
    share: int = 100
    seed: int = 0
    checkpoint: str = 'last'
    needs: tuple[str, ...] = ()
    painted: tuple[str, ...] = field(default=(), compare=False)

    @property
    def config_file(self) -> str:
        """Its config in the grid's folder."""
        return f'runs/{self.name}/config.py'

    def entry(self) -> dict[str, Any]:
        """What the manifest says of it."""
        return dict(asdict(self), config=self.config_file,
                    digest=hashlib.sha256(self.config.encode()).hexdigest())


def make_run(cfg: Config, name: str, kind: str, **settings: Any) -> Run:
    """The run of a config as it stands."""
    roots = [dataset['data_root'] for dataset in dataset_cfgs(cfg) if dataset.get('data_root')]
    steps = 0 if kind == TRIVIAL else cfg.train_cfg.get('max_iters', 0)
    return Run(name, kind, cfg.pretty_text, tuple(dict.fromkeys(roots)), steps, **settings)


def checkpoint_of(folder: Path, name: str) -> str:
    """Where a finished run leaves its weights."""
    return str(folder / 'runs' / name / 'checkpoint.pth')


def plan_grid(grid: Grid, folder: Path, data_root: str,
              pretrain_root: Optional[str] = None) -> tuple[list[Run], dict[str, str]]:
    """All runs of a grid, pretrainings first, and the lists of images that their configs name.

    Args:
        grid: The grid.
        folder: Where it will run.
        data_root: Data folder of the tasks; '{data_root}' in an encoder's ``data_root``.
        pretrain_root: Data folder of the pretrainings that name none.

    Returns:
        Runs, and path in the folder -> text.

    Raises:
        GridError: An encoder does not fit a task, or an option its config.
    """
    encoders = {name: _Encoder(grid, name, folder, data_root, pretrain_root) for name in grid.encoders}
    runs = [encoder.run for encoder in encoders.values() if encoder.run]
    _order(runs)
    subsets, backbones = Subsets(grid, folder), Backbones(grid.path)
    used = [encoder for encoder in encoders.values() if encoder.settings.get('transfer', True)]
    for task, settings in grid.tasks.items():
        options = {**grid.options, **settings['options']}
        base = _read(grid, f'tasks.{task}', settings['config'], options, data_root)
        subsets.read(task, base)
        painted = subsets.painted(task)
        runs.append(make_run(base, f'trivial/{task}', TRIVIAL, task=task, painted=painted))
        for mode, further in grid.modes.items():
            further = {**options, **further}
            base = _read(grid, f'modes.{mode}', settings['config'], further, data_root)
            base = _for_protocol(grid, task, base)
            for encoder in used:
                own = encoder.settings.get('finetune')
                if own and mode == 'finetune':
                    cfg = _read(grid, f'encoders.{encoder.name}.finetune', settings['config'],
                                {**further, **own}, data_root)
                    cfg = _for_protocol(grid, task, cfg)
                else:
                    cfg = Config(base.to_dict())
                cfg.model.backbone = encoder.backbone(cfg.model.backbone)
                maps = backbones.check(encoder.name, task, cfg.model)
                if mode != 'finetune':
                    cfg.model.backbone.frozen_stages = maps.num_stages
                if mode == 'linear':
                    to_linear_probe(cfg.model, maps.channels)
                for share in grid.shares:
                    for seed in grid.seeds:
                        one = subsets.set(cfg, task, share, seed)
                        one.merge_from_dict({'randomness.seed': seed})
                        name = f'{task}/{mode}/share{share}/{encoder.name}/seed{seed}'
                        runs.append(make_run(
                            one, name, TRANSFER, encoder=encoder.name, task=task, mode=mode, share=share,
                            seed=seed, checkpoint=grid.checkpoint, painted=painted,
                            needs=(encoder.run.name, ) if encoder.run else ()))
    return runs, subsets.files


class _Encoder:
    """An encoder of a grid: the run that makes it, if any, and the backbone that tasks get."""

    def __init__(self, grid: Grid, name: str, folder: Path, data_root: str,
                 pretrain_root: Optional[str]) -> None:
        self.name, self.settings, self.run = name, grid.encoders[name], None
        self.own: Mapping[str, Any] = self.settings.get('backbone', {})
        source, prefix = self.settings.get('checkpoint'), self.settings.get('prefix', 'backbone.')
        if self.settings.get('pretrain'):
            cfg, needs = self._pretraining(grid, folder, data_root, pretrain_root)
            check_data_roots(cfg, 'train_dataloader', 'val_dataloader')
            self.run = make_run(cfg, f'pretrain/{name}', PRETRAIN, encoder=name, needs=needs,
                                seed=cfg.get('randomness', {}).get('seed', 0))
            # What only its own training needs stays behind.
            self.own = {key: value for key, value in cfg.model.backbone.to_dict().items()
                        if key not in ('taps', 'init_cfg', 'frozen_stages')}
            source = checkpoint_of(folder, self.run.name)
        self.init_cfg = dict(type='Pretrained', checkpoint=source, prefix=prefix) if source else None

    def _pretraining(self, grid: Grid, folder: Path, data_root: str,
                     pretrain_root: Optional[str]) -> tuple[Config, tuple[str, ...]]:
        where = f'encoders.{self.name}.options'
        options, needs = dict(self.settings.get('options', {})), []
        for key, value in options.items():
            if isinstance(value, str) and value.startswith('{') and value.endswith('}'):
                other = grid.encoders.get(value[1:-1], {})
                if not other.get('pretrain'):
                    raise GridError(f'{grid.path}: {where}: {key} is {value!r}, but the grid pretrains no '
                                    f"'{value[1:-1]}'")
                needs.append(f'pretrain/{value[1:-1]}')
                options[key] = checkpoint_of(folder, needs[-1])
        root = self.settings.get('data_root', pretrain_root)
        root = root and root.replace('{data_root}', data_root)
        cfg = _read(grid, where, self.settings['pretrain'], options, root)
        if 'backbone' not in cfg.get('model', {}):
            raise GridError(f'{grid.path}: encoders.{self.name}.pretrain: {self.settings["pretrain"]} has no '
                            'model.backbone to hand on')
        if 'checkpoint' in cfg.get('default_hooks', {}):
            cfg.default_hooks.checkpoint.save_best = None
        return cfg, tuple(needs)

    def backbone(self, task: Mapping[str, Any]) -> dict[str, Any]:
        """The task's backbone with what the encoder says of it."""
        init = {'init_cfg': self.init_cfg} if self.init_cfg else {}
        if self.run and self.own.get('type') != task.get('type'):
            return {**self.own, **init}
        return {**task, **self.own, **init}


def _order(runs: list[Run]) -> None:
    """Pretrainings that others need first, in place."""
    done: list[Run] = []
    while len(done) < len(runs):
        names = {run.name for run in done}
        ready = [run for run in runs if run.name not in names and names.issuperset(run.needs)]
        if not ready:
            circle = ', '.join(run.encoder for run in runs if run.name not in names)
            raise GridError(f'encoders {circle} need each other; take one of the references out')
        done += ready
    runs[:] = done


def _for_protocol(grid: Grid, task: str, base: Config) -> Config:
    """Nothing is chosen on the test split: it validates on the held-out part, or not at all."""
    hook = base.get('default_hooks', {}).get('checkpoint', {})
    if grid.checkpoint == 'last':
        hook['save_best'] = None
    elif not hook.get('save_best'):
        raise GridError(f"{grid.path}: checkpoint='best', but {grid.tasks[task]['config']} names no metric "
                        'in default_hooks.checkpoint.save_best')
    if not grid.held_out:
        for key in ('val_dataloader', 'val_evaluator', 'val_cfg'):
            base[key] = None
    return base


def _read(grid: Grid, where: str, path: Path, options: Mapping[str, Any],
          data_root: Optional[str] = None) -> Config:
    try:
        cfg = load_config(Namespace(config=path, cfg_options=dict(options), data_root=data_root))
    except ToolError as error:
        message = str(error).replace('--cfg-options', 'its options')
        raise GridError(f'{grid.path}: {where}: {message}') from error
    cfg.pop('work_dir')
    return cfg
