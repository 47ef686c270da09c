"""What the command-line tools share: arguments, the config they end in, tables, and how they fail.

A tool is ``main(argv=None)`` run by :func:`run`.
"""
import argparse
import difflib
import inspect
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional, Union

from mmengine.config import Config, DictAction
from mmengine.registry import DATASETS, RUNNERS, init_default_scope
from mmengine.runner import Runner

from cmim_mm.datasets.data_root import dataset_cfgs, set_data_root
from cmim_mm.deploy.format import is_packed, read
from cmim_mm.deploy.memory import keep_memory
from cmim_mm.engine.console import QuietRunner, hide_warnings_of_others
from cmim_mm.engine.distributed import setup_launcher
from cmim_mm.engine.failure import ToolError, expected_message, run
from cmim_mm.engine.hooks import ConsoleProgressHook
from cmim_mm.safetensors_file import FileRefused

__all__ = [
    'CfgOptions', 'ToolError', 'add_config_arguments', 'add_runner_arguments', 'add_vary_argument',
    'build_runner', 'check_data_roots', 'check_folder', 'expected_message', 'format_table', 'key_values',
    'load_config', 'parse_args', 'run']


class CfgOptions(DictAction):
    """``KEY=VALUE ...`` as a dict; a pair without '=' is an argument error instead of a traceback."""

    def __call__(self, parser, namespace, values, option_string=None):
        for pair in values:
            if '=' not in pair:
                parser.error(f"{option_string}: expected KEY=VALUE, got '{pair}'")
        super().__call__(parser, namespace, values, option_string)


def key_values(text: str) -> tuple[str, list[str]]:
    """Argument type: ``KEY=A,B,C`` -> (key, values).

    Raises:
        argparse.ArgumentTypeError: It is something else.
    """
    key, _, values = text.partition('=')
    if not (key and all(values.split(','))):
        raise argparse.ArgumentTypeError(f"expected KEY=VALUE,VALUE,..., got '{text}'")
    return key, values.split(',')


def add_vary_argument(parser: argparse.ArgumentParser) -> None:
    """Adds ``--vary``; ``dict(args.vary)`` is key -> values as text."""
    parser.add_argument('--vary', nargs='+', type=key_values, default=[], metavar='KEY=A,B,C',
                        help='values to go through; several keys give every combination')


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds ``config``, ``--cfg-options``, ``--data-root`` and ``--verbose``."""
    parser.add_argument('config', help='config file, or a packed model, which brings its own')
    parser.add_argument('--data-root', metavar='DIR', help="the data folder of every data set of the config")
    parser.add_argument(
        '--cfg-options', nargs='+', action=CfgOptions, metavar='KEY=VALUE',
        help='override keys of the config, e.g. model.backbone.binarizer=IRNet train_cfg.max_iters=100; '
             'a list is written key="[a,b]" or key=a,b, without white space')
    parser.add_argument('--verbose', action='store_true', help="show all of MMEngine's log, which else "
                        'goes to the log file alone, and all warnings')


def add_runner_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what every tool with a Runner takes: ``--work-dir``, ``--launcher``, ``--local_rank``."""
    parser.add_argument(
        '--work-dir', help='folder of logs and checkpoints; work_dirs/<config name> unless the config says')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help='set by the launcher')


def parse_args(parser: argparse.ArgumentParser, argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Parses; torch.distributed.launch hands the rank over as an argument, MMEngine reads the environment."""
    args = parser.parse_args(argv)
    if getattr(args, 'launcher', 'none') != 'none':
        os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args


def load_config(args: argparse.Namespace) -> Config:
    """Reads ``args.config`` and applies what the arguments say on top of it.

    Raises:
        ToolError: The file is missing or cannot be read, or ``--cfg-options`` does not fit it.
        FileRefused: It is a packed model, and damaged or of a newer version.
    """
    if not getattr(args, 'verbose', False):
        hide_warnings_of_others()
    path = Path(args.config)
    if not path.is_file():
        raise ToolError(f'{path}: there is no such config{_close_matches(path)}')
    try:
        cfg = Config(read(path).config) if is_packed(path) else Config.fromfile(path)
    except FileRefused:
        raise
    except Exception as error:
        raise ToolError(f'{path} cannot be read as a config: {type(error).__name__}: {error}') from error
    if args.cfg_options:
        _check_keys(args.cfg_options, cfg)
        try:
            cfg.merge_from_dict(args.cfg_options)
        except (KeyError, TypeError, IndexError, AssertionError) as error:
            raise ToolError(f'--cfg-options does not fit {path}: {error}') from error
    if args.data_root:
        try:
            set_data_root(cfg, args.data_root)
        except ValueError as error:
            raise ToolError(str(error)) from error
    if getattr(args, 'work_dir', None):
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = str(Path('work_dirs') / path.stem)
    init_default_scope(cfg.get('default_scope', 'mmseg'))
    return cfg


def _close_matches(path: Path) -> str:
    configs = {p.name: p for folder in (Path('configs'), path.parent) for p in sorted(folder.glob('*.py'))}
    close = difflib.get_close_matches(path.name, configs, n=3, cutoff=0.5)
    return '; did you mean ' + ' or '.join(str(configs[name]) for name in close) + '?' if close else ''


def _check_keys(options: Mapping[str, Any], cfg: Config) -> None:
    """MMEngine adds a misspelt top-level key without a word; below the top, building finds it."""
    known = {*cfg, *inspect.signature(Runner).parameters}
    for key in {option.split('.')[0] for option in options} - known:
        close = difflib.get_close_matches(key, known, n=1, cutoff=0.85)
        if close:
            raise ToolError(f"--cfg-options: the config has no '{key}'; did you mean '{close[0]}'?")


def check_data_roots(cfg: Config, *loaders: str) -> None:
    """Lets a data set whose folder is missing raise its own error, before logs and networks are made."""
    for dataset in dataset_cfgs({loader: cfg.get(loader) for loader in loaders}):
        root = dataset.get('data_root')
        if root and not Path(root).is_dir():
            DATASETS.build(dataset)


def check_folder(path: Union[str, Path], argument: str) -> None:
    """Makes sure, before any work, that a folder is there or can be made, and can be written to.

    Raises:
        ToolError: It cannot; names the argument and what is in the way.
    """
    there = next(p for p in (Path(path).absolute(), *Path(path).absolute().parents) if p.exists())
    if not there.is_dir():
        raise ToolError(f'{argument} {path}: {there} is a file, and a folder is needed. '
                        'Move it away, or name another folder')
    if not os.access(there, os.W_OK | os.X_OK):
        raise ToolError(f'{argument} {path}: no permission to write in {there}. '
                        'Get it, or name another folder')


def build_runner(cfg: Config, launcher: str, verbose: bool = False, shown: Sequence[str] = ()) -> Runner:
    """Joins the other processes of the launcher, then builds the Runner (or what ``runner_type`` names).

    The process keeps the memory of large tensors from here on: a training step on a CPU would else take
    thousands of new pages from the system.

    Args:
        cfg: Config of the run.
        launcher: As ``--launcher``.
        verbose: Whether the console shows all of MMEngine's log, instead of progress and results.
        shown: Modules whose records are shown even so.
    """
    check_folder(cfg.work_dir, '--work-dir')
    keep_memory()
    try:
        setup_launcher(cfg, launcher)
    except (ValueError, RuntimeError) as error:
        raise ToolError(str(error)) from error
    if 'runner_type' in cfg:
        return RUNNERS.build(cfg)
    if verbose:
        return Runner.from_cfg(cfg)
    QuietRunner.shown = shown
    runner = QuietRunner.from_cfg(cfg)
    runner.register_hook(ConsoleProgressHook())
    return runner


def format_table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table in Markdown with aligned columns; floats get four significant digits."""
    cells = [list(header)] + [[f'{c:.4g}' if isinstance(c, float) else str(c) for c in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells)]
    lines = ['| ' + ' | '.join(c.ljust(w) for c, w in zip(row, widths)) + ' |' for row in cells]
    lines.insert(1, '|' + '|'.join('-' * (w + 2) for w in widths) + '|')
    return '\n'.join(lines)
