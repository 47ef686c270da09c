"""One run in a process of its own: claimed, trained, tested, written down."""
import json
import os
import runpy
import sys
import time
import traceback
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, Optional

import torch
from mmengine.config import Config
from mmengine.runner import Runner

from cmim_mm.analysis import model_cost
from cmim_mm.atomic import write_atomically
from cmim_mm.engine.bare_model import bare_model
from cmim_mm.engine.cli import build_runner, expected_message, load_config
from cmim_mm.evaluation.trivial import trivial_baseline
from cmim_mm.last_checkpoint import last_checkpoint
from cmim_mm.models.pretrained import check_weights
from cmim_mm.publish import strip_to

from .curves import read_curves, read_probes
from .figures import figures, read_sums
from .machine import machine, versions
from .plan import TRIVIAL
from .store import FAILED, FINISHED, Store

#: (entry of the manifest, work folder, tools) -> what its line in the store says beside how it ended.
Job = Callable[[Mapping[str, Any], Path, Path], dict]


def work(folder: str, name: str, tools: str, attempt: int, threads: int = 0, device: Optional[str] = None,
         job: Optional[Job] = None) -> None:
    """Does one run of the grid in ``folder``, unless another process does or did it.

    Its output goes to ``log.txt`` in its folder. A failure of the run is written down, not raised.

    Args:
        folder: Of the grid.
        name: Of the run.
        tools: Folder of ``train.py``.
        attempt: How many lines the run has in the store; with more it was done meanwhile.
        threads: Of torch; 0 leaves them. A resumed run keeps those it began with, which its bits depend on.
        device: What ``CUDA_VISIBLE_DEVICES`` becomes.
        job: What to do; by default :func:`train_and_test`.
    """
    store = Store(folder)
    with store.claim(name) as mine:
        if not mine or store.attempts(name) != attempt:
            return
        if device is not None:
            os.environ['CUDA_VISIBLE_DEVICES'] = device
        where, started = store.run_folder(name), time.time()
        if threads:
            torch.set_num_threads(_first_threads(where, threads))
        record: dict[str, Any] = {'run': name, 'versions': versions(), 'machine': machine()}
        with _output_to(where / 'log.txt'):
            try:
                entry = store.manifest()['runs'][name]
                record.update((job or train_and_test)(entry, where, Path(tools)), status=FINISHED)
            except Exception as error:
                traceback.print_exc()
                message = expected_message(error) or f'{type(error).__name__}: {error}'
                record.update(status=FAILED, error=message, traceback=traceback.format_exc())
        store.append({**record, 'seconds': time.time() - started, 'ended': time.time(),
                      'host': os.uname().nodename})
    if record['status'] == FINISHED:
        for path in where.glob('*.pth'):  # optimizers take twice the weights' room
            if path.name != 'checkpoint.pth':
                path.unlink()


def train_and_test(entry: Mapping[str, Any], folder: Path, tools: Path) -> dict[str, Any]:
    """Trains by ``tools/train.py --resume`` and tests the chosen checkpoint; or the trivial predictor."""
    config = folder / 'config.py'
    if entry['kind'] == TRIVIAL:
        cfg = _test_config(config, folder, entry['painted'])
        predictor, metrics = trivial_baseline(cfg)
        return {'metrics': {**metrics, **_figures(folder)}, 'predictor': predictor}
    started, step = time.time(), _last_step(folder)
    if not (folder / 'checkpoint.pth').is_file():
        train = runpy.run_path(str(tools / 'train.py'))['main']
        train([str(config), '--work-dir', str(folder), '--resume'])
        strip_to(_chosen(folder, entry['checkpoint']), folder / 'checkpoint.pth')
    trained = time.time()
    done = {'curves': read_curves(folder), 'train_seconds': trained - started, 'resumed_from': step}
    probes = read_probes(folder)
    tested = _test_config(config, folder, entry['painted'])
    if tested.test_dataloader is None:  # trained without labels
        return {'metrics': probes, **done}
    metrics, cost = test(tested, str(folder / 'checkpoint.pth'))
    return {'metrics': {**metrics, **_figures(folder), **probes}, 'cost': cost, **done}


def test(cfg: Config, checkpoint: str) -> tuple[dict[str, float], dict[str, Any]]:
    """Metrics of a checkpoint on the config's test data, and what its model costs an image of theirs."""
    cfg.load_from, cfg.resume = checkpoint, False
    cfg.model.backbone.pop('init_cfg', None)
    runner = build_runner(cfg, 'none')
    check_weights(runner.model, checkpoint)
    metrics = runner.test()
    return {key: float(value) for key, value in metrics.items()}, image_cost(runner, cfg)


def image_cost(runner: Runner, cfg: Config) -> dict[str, Any]:
    """What the model costs for the first test (or else training) image, at the size that the network sees."""
    model = bare_model(runner)
    loader = runner.test_dataloader if runner.cfg.get('test_dataloader') else runner.train_dataloader
    _, *size = loader.dataset[0]['inputs'].shape
    if hasattr(model.data_preprocessor, 'scaled_size'):
        size = model.data_preprocessor.scaled_size(*size)
    shape = (cfg.model.backbone.get('in_channels', 3), *size)
    return {**model_cost(model, shape).total, 'input_shape': shape}


def _test_config(config: Path, folder: Path, painted: 'list[str]') -> Config:
    cfg = load_config(Namespace(
        config=config, work_dir=str(folder / 'test'), data_root=None, cfg_options=None))
    if cfg.get('test_dataloader') is None:
        cfg.test_dataloader, cfg.test_evaluator = cfg.get('val_dataloader'), cfg.get('val_evaluator')
        cfg.test_cfg = dict(type='TestLoop')
    evaluator = cfg.test_evaluator or []
    cfg.test_evaluator = [*(evaluator if isinstance(evaluator, (list, tuple)) else [evaluator]), dict(
        type='cmim_mm.ImageSums', out_file=str(folder / 'images.npz'), painted=painted)]
    return cfg


def _figures(folder: Path) -> dict[str, float]:
    """Exact ones, where mmsegmentation rounds."""
    sums = read_sums(folder / 'images.npz')
    return {key: float(value[0]) for key, value in figures(sums).items()} if sums else {}


def _chosen(folder: Path, choice: str) -> Path:
    found = [last_checkpoint(folder)] if choice == 'last' else sorted(folder.glob('best_*.pth'))
    if len(found) != 1 or found[0] is None:
        raise FileNotFoundError(f'{folder}: expected one checkpoint, found {len(list(filter(None, found)))}; '
                                'see default_hooks.checkpoint (interval, save_last, save_best) and val_cfg')
    return found[0]


def _last_step(folder: Path) -> int:
    path = last_checkpoint(folder)
    return int(path.stem.rpartition('_')[2]) if path else 0


def _first_threads(folder: Path, threads: int) -> int:
    path = folder / 'threads'
    if not path.is_file():
        write_atomically(json.dumps(threads).encode(), path)
    return json.loads(path.read_text())


@contextmanager
def _output_to(path: Path) -> Iterator[None]:
    """Sends what this process and its children print to a file."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    with open(path, 'a', buffering=1) as file, redirect_stdout(file), redirect_stderr(file):
        for number in (1, 2):
            os.dup2(file.fileno(), number)
        try:
            yield
        finally:
            for number, old in zip((1, 2), kept):
                os.dup2(old, number)
                os.close(old)
