"""The grid of variants, their folders and their table."""
import json
from pathlib import Path

import pytest

from cmim_mm.analysis.variants import Variant, grid, read_result, summarize, write_result


def test_grid_is_every_combination():
    variants = grid(['a.py', 'b.py'], {'x.binarizer': ['BNN', 'None'], 'lr': ['0.1']}, [0, 1])
    assert len(variants) == 8
    assert variants[0] == Variant('a.py', {'x.binarizer': 'BNN', 'lr': '0.1'}, 0)
    assert variants[0].name == 'a binarizer=BNN lr=0.1'
    assert len({v.folder(Path('w')) for v in variants}) == 8
    assert grid(['a.py'], {}, [3]) == [Variant('a.py', {}, 3)]
    assert grid(['a.py x=1 y=2'], {'y': ['3']}, [0]) == [Variant('a.py', {'x': '1', 'y': '3'}, 0)]


def test_folders_of_long_options_stay_short_and_apart():
    one, other = (Variant('a.py', {'file': f'{"long/" * 60}{name}'}, 0).folder(Path('w')) for name in 'xy')
    assert one != other and all(len(part) < 150 for part in (*one.parts, *other.parts))


def log(folder, run, *records):
    path = folder / run / 'vis_data' / 'scalars.json'
    path.parent.mkdir(parents=True)
    path.write_text(''.join(json.dumps(record) + '\n' for record in records))


def test_result_is_the_last_validation_over_resumed_runs(tmp_path):
    log(tmp_path, '20260101_000000', {'lr': 0.1, 'loss': 3, 'step': 1}, {'acc': 10.0, 'time': 1, 'step': 5})
    log(tmp_path, '20260101_000001', {'acc': 20.0, 'time': 1, 'step': 9}, {'lr': 0.1, 'loss': 2, 'step': 10},
        {'probe/ceiling': 3.0, 'step': 10})
    assert read_result(tmp_path) is None
    assert write_result(tmp_path, 2.5) == {'metrics': {'acc': 20.0}, 'step': 9, 'minutes': 2.5}
    assert read_result(tmp_path)['metrics'] == {'acc': 20.0}


def test_a_run_without_validation_says_what_to_set(tmp_path):
    log(tmp_path, '20260101_000000', {'lr': 0.1, 'loss': 3, 'step': 1})
    with pytest.raises(FileNotFoundError, match='val_interval'):
        write_result(tmp_path, 1)


def test_table_joins_seeds_and_marks_what_failed():
    variants = grid(['a.py', 'b.py'], {}, [0, 1])
    results = [{'metrics': {'acc': acc}, 'minutes': minutes} for acc, minutes in ((10.0, 1.0), (12.0, 3.0))]
    results += [None, None]
    header, rows = summarize(variants, results, ['acc', 'rmse'])
    assert header == ['variant', 'acc', 'rmse', 'seeds', 'minutes']
    assert rows == [['a', '11 ± 1.4', '-', '2', '2.0 ± 1.4'], ['b', 'failed', 'failed', '0', '-']]
