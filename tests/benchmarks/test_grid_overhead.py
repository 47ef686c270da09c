"""The benchmark of a grid's own cost: whose time it counts, and what it divides."""
import sys

import pytest

import benchmarks.grid_overhead as overhead
from benchmarks.grid_overhead import Spent, adopt_orphans, by_hand, timed, tool

SPIN = 'import time\nwhile time.process_time() < 0.5:\n    pass'


def test_processor_time_counts_children_that_outlive_their_parent():
    adopt_orphans()
    orphan = f'import subprocess, sys; subprocess.Popen([sys.executable, "-c", {SPIN!r}])'
    assert timed([[sys.executable, '-c', orphan]]).cpu > 0.5


def test_a_command_that_fails_is_named():
    with pytest.raises(overhead.ToolError, match='exit.3.*: failed'):
        timed([[sys.executable, '-c', 'exit(3)']])


def test_by_hand_trains_and_tests_each_config(monkeypatch, tmp_path):
    commands, hand = [], tmp_path / 'hand'
    monkeypatch.setattr(overhead, 'timed', lambda given, threads: commands.extend(given))
    by_hand(['a.py', 'b.py'], 7, hand, 1)
    assert len(commands) == 4 and commands[1:3] == [
        tool('test.py', 'a.py', hand / '0/iter_7.pth', '--work-dir', hand / '0/test'),
        tool('train.py', 'b.py', '--work-dir', hand / '1')]


def test_the_sums_of_both_ways_are_compared(monkeypatch, capsys):
    order = []

    def by_grid(*args):
        order.append('grid')
        return Spent(103.0, 50.0), [49.0, 50.0]

    def by_hand(*args):
        order.append('by hand')
        return Spent(100.0, 50.0)

    monkeypatch.setattr(overhead, 'by_grid', by_grid)
    monkeypatch.setattr(overhead, 'by_hand', by_hand)
    overhead.main(['--data-root', 'data', '--rounds', '2'])
    out = capsys.readouterr().out
    assert order == ['grid', 'by hand', 'by hand', 'grid']
    assert '| +3.00%   | +0.00% |' in out and '4.0 s were beside them' in out
