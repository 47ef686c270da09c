"""The benchmark of a grid's own cost: whose time it counts, that ways take turns, and what it divides."""
import shlex
import sys

import pytest
from mmengine.config import Config

import benchmarks.grid_overhead as overhead
from benchmarks.grid_overhead import GRID, Spent, adopt_orphans, alternate, by_hand, tool, write_configs

SPIN = 'import time\nwhile time.process_time() < 0.4:\n    pass'


def python(code):
    return shlex.join([sys.executable, '-c', code])


def test_processor_time_counts_children_that_outlive_their_parent(tmp_path):
    adopt_orphans()
    orphan = f'import subprocess, sys; subprocess.Popen([sys.executable, "-c", {SPIN!r}])'
    spent = alternate({'one': python(orphan), 'other': python(SPIN), 'none': 'true'}, tmp_path, seconds=0.1)
    assert spent['one'].cpu > 0.4 and spent['other'].cpu > 0.4 > spent['none'].cpu


def test_only_one_goes_on_at_a_time(tmp_path):
    marks = tmp_path / 'marks'
    mark = f'for i in $(seq 60); do echo NAME >> {marks}; sleep 0.01; done'
    alternate({name: mark.replace('NAME', name) for name in 'ab'}, tmp_path, seconds=0.2)
    order = marks.read_text().split()
    changes = sum(one != other for one, other in zip(order, order[1:]))
    assert order.count('a') == order.count('b') == 60 and 1 < changes < 30


def test_a_way_that_fails_is_named(tmp_path):
    with pytest.raises(overhead.ToolError, match='exit 3: failed\nwhy'):
        alternate({'bad': 'echo why; exit 3', 'good': 'sleep 60'}, tmp_path, seconds=0.1)


def test_by_hand_trains_and_tests_each_config(tmp_path):
    commands = by_hand(['a.py', 'b.py'], 7, tmp_path).split(' && ')
    assert len(commands) == 4 and commands[1:3] == [
        tool('test.py', 'a.py', tmp_path / '0/iter_7.pth', '--work-dir', tmp_path / '0/test'),
        tool('train.py', 'b.py', '--work-dir', tmp_path / '1')]


def test_the_configs_are_those_of_the_grid(rooms_root, repository, tmp_path):
    grid = tmp_path / 'grid.py'
    grid.write_text(GRID.format(config=str(repository / 'configs/nyud_seg_bnn_quick.py'), seeds=[0, 1],
                                options={'train_cfg.max_iters': 9}))
    configs = [Config.fromfile(path) for path in write_configs(grid, str(rooms_root), tmp_path)]
    assert [cfg.randomness.seed for cfg in configs] == [0, 1]
    assert all(cfg.train_cfg.max_iters == 9 and cfg.val_dataloader is None for cfg in configs)


def test_both_ways_are_compared(monkeypatch, capsys):
    monkeypatch.setattr(overhead, 'write_configs', lambda *args: ['a.py'])
    monkeypatch.setattr(overhead, 'alternate', lambda commands, folder, threads: {
        'grid': Spent(103.0, 50.0), 'by hand': Spent(100.0, 50.0)})
    overhead.main(['--data-root', 'data'])
    assert '| overhead | +3.00%   | +0.00% |' in capsys.readouterr().out
