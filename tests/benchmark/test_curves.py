"""Learning curves from the logs of resumed and broken-off trainings."""
import json

from cmim_mm.benchmark.curves import last_step, read_curves, read_probes


def log(folder, run, *records, tail=''):
    path = folder / run / 'vis_data' / 'scalars.json'
    path.parent.mkdir(parents=True)
    path.write_text(''.join(json.dumps(record) + '\n' for record in records) + tail)


def test_a_resumed_run_is_one_curve(tmp_path):
    log(tmp_path, '20260101_000000', {'lr': 0.1, 'loss': 3, 'step': 1}, {'lr': 0.1, 'loss': 2, 'step': 2},
        {'mIoU': 10.0, 'time': 1, 'step': 2}, tail='{"lr": 0.1, "lo')
    log(tmp_path, '20260101_000001', {'lr': 0.1, 'loss': 2.5, 'step': 2, 'loss_ce': 9},
        {'probe/ceiling': 3.0, 'step': 2}, {'lr': 0.1, 'loss': 1, 'step': 3}, {'mIoU': 20.0, 'step': 3})
    assert read_curves(tmp_path) == {'loss': [(1, 3), (2, 2.5), (3, 1)], 'mIoU': [(2, 10.0), (3, 20.0)]}
    assert last_step(tmp_path) == 3


def test_probes_are_those_of_the_end(tmp_path):
    log(tmp_path, '20260101_000000', {'probe/ceiling': 3.0, 'probe/knn/layer1': 9.0, 'step': 0},
        {'lr': 0.1, 'loss': 3, 'step': 1})
    log(tmp_path, '20260101_000001', {'accuracy/top1': 10.0, 'step': 2},
        {'probe/ceiling': 3.0, 'probe/knn/layer1': 20.0, 'probe/flips/layer1': 2.0, 'probe/flips/total': 1.0,
         'step': 2})
    assert read_probes(tmp_path) == {'probe/ceiling': 3.0, 'probe/knn/layer1': 20.0, 'probe/flips/total': 1.0}


def test_long_curves_keep_their_ends(tmp_path):
    log(tmp_path, 'run', *({'lr': 1, 'loss': float(i), 'step': i} for i in range(1001)))
    curve = read_curves(tmp_path, points=11)['loss']
    assert curve == [(i, float(i)) for i in range(0, 1001, 100)]


def test_no_log(tmp_path):
    assert read_curves(tmp_path) == read_probes(tmp_path) == {} and last_step(tmp_path) == 0
