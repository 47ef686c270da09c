"""What a report says of results, finished or not."""
import io

import numpy as np
import pytest
from rich.console import Console

from cmim_mm.benchmark.plan import PRETRAIN, TRANSFER, TRIVIAL
from cmim_mm.benchmark.report import _tone, to_html, to_markdown
from cmim_mm.benchmark.store import FORMAT, Store
from cmim_mm.benchmark.summary import Difference, Key, summarize
from cmim_mm.benchmark.watch import format_seconds, read_progress, show
from cmim_mm.version import __version__

COST = {'ops': 1e7, 'params': 10, 'bytes': 40.0, 'input_shape': [3, 4, 4]}


@pytest.fixture
def grid(tmp_path):
    """Writes a store: encoder -> top-1 of each seed, or an error; with per-image places where asked."""
    def grid(figures, mode='linear', trivial=5.0, images=None, **changes):
        runs, records = {}, []
        for kind, name, encoder, seed in [
                (PRETRAIN, 'pretrain/b', 'b', 0), (TRIVIAL, 'trivial/cls', '', 0),
                *((TRANSFER, f'cls/{one}/{i}', one, i) for one in figures for i in range(len(figures[one])))]:
            value = figures[encoder][seed] if kind == TRANSFER else trivial
            runs[name] = dict(kind=kind, encoder=encoder, task='cls', mode=mode if kind == TRANSFER else '',
                              share=100, seed=seed, digest=name, steps=10, needs=[],
                              config=f'runs/{name}/config.py')
            record = dict(run=name, status='finished', metrics={'accuracy/top1': value}, cost=COST,
                          seconds=60.0, versions={'torch': '2'}, predictor='largest class')
            if isinstance(value, str):
                record = dict(run=name, status='failed', error=value)
            if value is not None:
                records.append({**record, **changes.get(name, {})})
        store = Store(tmp_path)
        store.claim_folder(dict(
            format=FORMAT, versions={'cmim_mm': __version__}, machine={'cores': 2}, title='toy', command='',
            data={}, runs=runs, baselines={'cls': 'a'}, from_scratch=['a']), {})
        for record in records:
            if record['status'] == 'finished' and images:
                store.run_folder(record['run']).mkdir(parents=True)
                np.savez(store.run_folder(record['run']) / 'images.npz', names=np.arange(4),
                         places=np.array(images(record['run'])))
            store.append(record)
        return store
    return grid


def row(summary, encoder):
    found, = (one for one in summary.rows if one.key == Key('cls', 'linear', 100, encoder))
    return found.figures['accuracy/top1']


def test_a_difference_is_shown_where_both_intervals_exclude_zero(grid):
    store = grid({'a': [50.0, 51.0, 52.0], 'b': [60.0, 61.1, 62.0]}, images=lambda run: [0, 0, 9, 9] if (
        '/a/' in run) else [0, 0, 0, 0])
    summary = summarize(store)
    difference = row(summary, 'b').difference
    assert difference.mean == pytest.approx(10.0333, abs=1e-3) and row(summary, 'a').difference is None
    assert difference.seeds[0] > 9.5 and difference.images[0] >= 0
    text = to_markdown(summary)
    assert 'b       | linear | 100 %  | 3     | 61.03 ± 1 ' in text and not summary.notes


@pytest.mark.parametrize('metric, mean, images, tone', [
    ('mIoU', 1.0, (0.5, 1.5), 'good'),
    ('mIoU', -1.0, (-2, -0.5), 'warn'), ('pixel/rmse', -1.0, (-2, -1), 'good'),
    ('mIoU', 1.0, (-1, 3), ''), ('psnr', 1.0, (0.5, 1.5), '')])
def test_tone_of_a_difference(metric, mean, images, tone):
    assert _tone(Difference(mean, (mean - 0.1, mean + 0.1), images), metric) == tone


@pytest.mark.parametrize('figures, words', [
    ({'a': [50.0, 51.0], 'b': [50.0, 53.0]}, 'not paired by images'),
    ({'a': [50.0], 'b': [60.0]}, 'one seed: nothing shown')])
def test_what_is_not_shown_says_why(grid, figures, words):
    store = grid(figures)
    summary = summarize(store)
    assert not row(summary, 'b').difference.shown
    assert words in to_markdown(summary) and words in to_html(summary, store)


def test_an_interval_that_holds_zero_is_printed_as_such(grid):
    store = grid({'a': [50.0, 51.0], 'b': [50.0, 53.0]}, images=lambda run: [0, 9, 0, 9])
    assert 'holds 0' in to_markdown(summarize(store)) and 'holds 0' in to_html(summarize(store), store)


@pytest.mark.parametrize('figures, trivial, expected', [
    ({'a': [4.0, 6.0], 'b': [30.0, 31.0]}, 5.0, ['than the largest class, accuracy/top1 5 on cls: a 5']),
    ({'a': [20.0, 21.0], 'b': [20.0, 21.5]}, 5.0,
     ['than random weights (a), accuracy/top1 20.5 on cls: b 20.75']),
    ({'a': [20.0, 21.0], 'b': [30.0, 31.0]}, 5.0, [])])
def test_a_probe_at_chance_is_not_trained_enough(grid, figures, trivial, expected):
    notes = summarize(grid(figures, trivial=trivial)).notes
    assert len(notes) == len(expected)
    for note, words in zip(notes, expected):
        assert 'Not trained enough to compare' in note and words in note


def test_failed_and_unfinished_runs_are_named(grid):
    store = grid({'a': [50.0, 'diverged'], 'b': [None, 60.0]})
    summary = summarize(store)
    assert summary.missing == {'cls/a/1': 'failed: diverged', 'cls/b/0': 'not finished'}
    assert row(summary, 'a').values == (50.0, ) and row(summary, 'b').difference is None  # no common seed
    for text in (to_markdown(summary), to_html(summary, store)):
        assert 'failed: diverged' in text and 'cls/b/0' in text


def test_runs_of_other_versions_are_mentioned(grid):
    store = grid({'a': [50.0], 'b': [60.0]}, **{'cls/b/0': {'versions': {'torch': '3'}}})
    assert any('2 different sets of versions' in note for note in summarize(store).notes)


def test_progress_and_time_left(grid):
    store = grid({'a': [50.0, 'diverged'], 'b': [None, None]})
    log = store.run_folder('cls/b/0') / '2026/vis_data/scalars.json'
    log.parent.mkdir(parents=True)
    log.write_text('{"lr": 1, "loss": 1, "step": 5}\n')
    before = read_progress(store)
    assert (before.finished, before.failed, before.total, before.running) == (3, 1, 6, {})
    assert before.seconds_left == 120.0 and not before.over  # two runs of a minute

    reader = Store(store.folder)
    reader.running = lambda name: {'pid': 1} if name == 'cls/b/0' else None  # held by another process
    progress = read_progress(reader)
    assert progress.running == {'cls/b/0': 0.5} and progress.seconds_left == 90.0
    console = Console(file=io.StringIO(), width=100)
    console.print(show(progress))
    text = console.file.getvalue()
    assert '3 of 6 runs finished, 1 failed' in text and '50 %' in text and 'about 1 min 30 s left' in text


@pytest.mark.parametrize('seconds, text', [(5, '0 min 05 s'), (125.4, '2 min 05 s'), (7260, '2 h 01 min')])
def test_times_are_read_at_a_glance(seconds, text):
    assert format_seconds(seconds) == text
