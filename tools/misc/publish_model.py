"""Makes a checkpoint ready to be handed on: weights alone, a name with their hash, an entry for the metafile.

    python tools/misc/publish_model.py work_dirs/nyud_seg_bnn/best_mIoU_iter_18000.pth nyud_seg_bnn.pth \
        --config configs/nyud_seg_bnn.py --results work_dirs/test/20260101_000000/20260101_000000.json

A name that ends with .safetensors stores the filters of binary convolutions as bits: 20 times smaller, and
still a checkpoint to train on from. It holds what the config evaluates, not what it only trains with.
"""
import hashlib
import json
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

import yaml

import cmim_mm  # noqa: F401  (allows what checkpoints of MMEngine hold)
from cmim_mm.atomic import write_atomically
from cmim_mm.benchmark.figures import METRICS, shown_metrics
from cmim_mm.deploy.packing import trained_model
from cmim_mm.engine.cli import ToolError, load_config, parse_args, run
from cmim_mm.publish import one_bit, stripped, to_bytes


def make_parser() -> ArgumentParser:
    parser = ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('in_file', help='checkpoint of a training')
    parser.add_argument('out_file', help='NAME.pth, or NAME.safetensors with filters as bits; the first '
                        '8 digits of its SHA-256 join the name')
    parser.add_argument('--config', metavar='FILE', help='the config that it was trained with')
    parser.add_argument('--results', metavar='FILE',
                        help='its figures: the JSON file that tools/test.py wrote')
    parser.add_argument('--metafile', metavar='FILE',
                        help='put the entry in here, in the place of the one with the same config, if any')
    return parser


def published(in_file: str, out_file: str, config: Optional[str]) -> tuple[Path, bytes]:
    """Where the stripped checkpoint goes, and its bytes."""
    if not Path(in_file).is_file():
        raise ToolError(f'{in_file}: there is no such checkpoint')
    out = Path(out_file)
    if out.suffix == '.pth':
        data = to_bytes(stripped(in_file))
    elif out.suffix != '.safetensors':
        raise ToolError(f'{out_file}: expected a name that ends with .pth or .safetensors')
    elif config is None:
        raise ToolError(f'{out_file}: which filters are binary stands in the config; give --config FILE')
    else:
        cfg = load_config(Namespace(config=config, cfg_options=None, data_root=None))
        model, _, meta = trained_model(cfg, in_file)
        data = one_bit(model, meta)
    return out.with_name(f'{out.stem}-{hashlib.sha256(data).hexdigest()[:8]}{out.suffix}'), data


def entry(weights: Path, config: Optional[str], results: Optional[str]) -> dict[str, Any]:
    """What a metafile says of the model."""
    found: dict[str, Any] = {'Name': Path(config).stem if config else weights.stem.rpartition('-')[0],
                             'In Collection': 'CMIM'}
    if config:
        if not Path(config).is_file():
            raise ToolError(f'--config {config}: there is no such config')
        found['Config'] = config
    if results:
        found['Results'] = [{'Metrics': read_metrics(results)}]
    return {**found, 'Weights': weights.as_posix()}


def read_metrics(path: str) -> dict[str, float]:
    """The usual figures of a JSON file, under the names that reports give them."""
    try:
        figures = json.loads(Path(path).read_text())
        names = [name for name in shown_metrics(figures) if isinstance(figures[name], (int, float))]
    except (OSError, ValueError, TypeError) as error:
        raise ToolError(f'--results {path}: is no JSON file of figures ({error}). Give the one that '
                        'tools/test.py wrote') from error
    return {METRICS[name].title if name in METRICS else name: round(figures[name], 4) for name in names}


def with_entry(model: dict[str, Any], metafile: str) -> bytes:
    """The metafile's content with the model in the place of the one of the same config, or added."""
    try:
        content = yaml.safe_load(Path(metafile).read_text())
        models = content['Models']
        same = [i for i, other in enumerate(models)
                if other.get('Config', other.get('Name')) == model.get('Config', model['Name'])]
    except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise ToolError(f'--metafile {metafile}: is no metafile with a list of Models ({error})') from error
    if same:
        models[same[0]] = {**models[same[0]], **model}
    else:
        models.append(model)
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True).encode()


def main(argv: Optional[Sequence[str]] = None) -> None:
    args = parse_args(make_parser(), argv)
    path, data = published(args.in_file, args.out_file, args.config)
    model = entry(path, args.config, args.results)
    files = {path: data}
    if args.metafile:
        files[Path(args.metafile)] = with_entry(model, args.metafile)
    for file, content in files.items():  # all that can be wrong was found before
        write_atomically(content, file)
    print(yaml.safe_dump([model], sort_keys=False, allow_unicode=True), end='')
    before = Path(args.in_file).stat().st_size / 1e6
    print(f'{path}: {len(data) / 1e6:.1f} MB, from {before:.1f} MB')


if __name__ == '__main__':
    run(main)
