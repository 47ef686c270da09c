"""The protocol of a grid in words, from its manifest and configs."""
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from cmim_mm.datasets.data_root import dataset_cfgs
from cmim_mm.datasets.layout import read_list

from .plan import PRETRAIN
from .statistics import LEVEL, RESAMPLES
from .summary import Summary

_MODES = {
    'finetune': 'every weight trains',
    'frozen': 'the encoder is frozen, its batch norms too; the head of the task trains',
    'linear': 'the encoder is frozen; all its maps, standardized and resized to the finest, meet one 1×1 '
              'convolution, which trains'}


def protocol(folder: Path, summary: Summary) -> list[str]:
    """Sentences: data, networks, schedules, what trains, which checkpoint, how differences are judged."""
    return [*_data(summary.manifest), *_schedules(folder, summary), *_rules(summary)]


def _data(manifest: Mapping[str, Any]) -> Iterator[str]:
    for root, fingerprint in manifest['data'].items():
        lists = {name: Path(root) / f'{name}.txt' for name in ('train', 'test')}
        counts = ', '.join(
            f'{len(read_list(str(path)))} {name}' for name, path in lists.items() if path.is_file())
        kind = ' (synthetic rooms, not photographs)' if is_synthetic(root) else ''
        yield f'Data {root}{kind}: {counts + "; " if counts else ""}fingerprint {fingerprint[:12]}.'


def is_synthetic(root: str) -> bool:
    """Whether a data folder was written by ``tools/dataset_converters/rooms.py``."""
    return (Path(root) / 'rooms.json').is_file()


def _schedules(folder: Path, summary: Summary) -> Iterator[str]:
    """One sentence for each pretraining and each task and mode."""
    told = set()
    for name, run in summary.manifest['runs'].items():
        what = f'Pretraining of {run["encoder"]}' if run['kind'] == PRETRAIN else ' '.join(
            filter(None, (run['task'], run['mode'])))
        if what in told or run['kind'] == 'trivial':
            continue
        told.add(what)
        path = folder / run['config']
        if path.is_file():
            record = next((row.records[0] for row in summary.rows if name in row.runs),
                          summary.pretrained.get(run['encoder'], {}) if run['kind'] == PRETRAIN else {})
            size = record.get('cost', {}).get('input_shape')
            seen = f' The network sees {size[1]}×{size[2]} pixels in the test.' if size else ''
            yield f'{what[0].upper()}{what[1:]}: {describe(Config.fromfile(path))}{seen}'


def describe(cfg: Config) -> str:
    """Steps, batch, optimizer and augmentation of a config."""
    loader, optimizer = cfg.train_dataloader, cfg.optim_wrapper.optimizer
    data = next(dataset_cfgs(Config(dict(train_dataloader=loader))), {})
    steps = ', '.join(str(transform['type']).rpartition('.')[2] for transform in data.get('pipeline', []))
    schedule = ', '.join(one['type'] for one in cfg.get('param_scheduler') or [])
    length = cfg.train_cfg.get('max_iters') or f'{cfg.train_cfg.get("max_epochs")} epochs'
    return (f'{length} steps of {loader.batch_size} images, {optimizer.type} with learning rate '
            f'{optimizer.get("lr")} and weight decay {optimizer.get("weight_decay", 0)} '
            f'({schedule or "constant"}){"; " + steps if steps else ""}.')


def _rules(summary: Summary) -> Iterator[str]:
    for mode in summary.distinct('mode'):
        if mode:
            yield f'{mode.capitalize()}: {_MODES[mode]}.'
    manifest = summary.manifest
    shares = summary.distinct('share')
    if shares != [100]:
        yield ('Shares of the labels: the first part of an order of the training images that is drawn from '
               "the run's seed, so shares are nested and all encoders see the same images; the number of "
               'steps is the same.')
    if manifest.get('checkpoint') == 'best':
        yield (f'Checkpoint: the best on {manifest["held_out"]} % of the training images, which no run '
               'trains on; never the best on the test split.')
    else:
        yield 'Checkpoint: the last.' + (
            f' {manifest["held_out"]} % of the training images are held out for the curves.'
            if manifest.get('held_out') else '')
    yield ('Runs are paired by seed, which also sets the order of the data. ± is the standard deviation over '
           f'seeds. Δ is the mean difference to the baseline with two {100 * LEVEL:.0f} % intervals: over '
           f"seeds (Student's t of the paired differences) and over images (paired bootstrap of the test "
           f"images' sums, {RESAMPLES:,} resamples, seed 0). Where either holds 0, or one seed was run, no "
           'difference is shown.')
    yield ('OPs = FLOPs + BOPs/64 of one image at the size that the network sees; size with 1 bit a binary '
           'weight and 32 any other parameter.')
