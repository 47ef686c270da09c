"""Prints what the model of a config costs, layer by layer: bits, parameters, FLOPs, BOPs, OPs, bytes."""
import argparse
import os
import sys

from mmengine.config import Config, DictAction
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import init_default_scope

from cmim_mm.analysis import format_cost, model_cost
from cmim_mm.analysis.cost_table import STYLES
from cmim_mm.registry import MODELS


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('--shape', type=int, nargs=2, default=[480, 640], metavar=('H', 'W'),
                        help='size of the image before input_scale (default: 480 640)')
    parser.add_argument('--format', choices=list(STYLES), default='table')
    parser.add_argument('--out', help='write to this file instead of the terminal')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction,
                        help='overrides in the config, key=value, as in train.py')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    cfg = Config.fromfile(args.config)
    if args.cfg_options is not None:
        cfg.merge_from_dict(args.cfg_options)
    if 'model' not in cfg:
        sys.exit(f'{args.config} defines no model')
    init_default_scope(cfg.get('default_scope', 'mmseg'))
    model = revert_sync_batchnorm(MODELS.build(cfg.model))
    preprocessor = getattr(model, 'data_preprocessor', None)
    size = preprocessor.scaled_size(*args.shape) if hasattr(preprocessor, 'scaled_size') else args.shape
    channels = cfg.model.get('backbone', {}).get('in_channels', 3)
    text = format_cost(model_cost(model, (channels, *size)), args.format)
    if args.out is None:
        print(text, end='')
        return
    os.makedirs(os.path.dirname(os.path.abspath(args.out)), exist_ok=True)
    temporary = f'{args.out}.tmp'
    with open(temporary, 'w', encoding='utf-8') as file:
        file.write(text)
    os.replace(temporary, args.out)
    print(f'wrote {args.out}')


if __name__ == '__main__':
    main()
