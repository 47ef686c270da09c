"""The variants of compare.py: which there are, and their folders."""
import pytest
from mmengine.config import Config

from cmim_mm.benchmark.grid import GridError
from cmim_mm.benchmark.variants import Variant, grid, parse_options, plan_variants, split_config


def test_grid_is_every_combination():
    variants = grid(['a.py', 'b.py'], {'x.binarizer': ['BNN', 'None'], 'lr': ['0.1']})
    assert len(variants) == 4
    assert variants[0] == Variant('a.py', {'x.binarizer': 'BNN', 'lr': '0.1'})
    assert variants[0].name == 'a binarizer=BNN lr=0.1'
    assert len({variant.folder for variant in variants}) == 4
    assert grid(['a.py'], {}) == [Variant('a.py', {})]
    assert grid(['a.py x=1 y=2'], {'y': ['3']}) == [Variant('a.py', {'x': '1', 'y': '3'})]


def test_a_label_stands_for_config_and_options_in_reports_alone():
    plain, labelled = (grid([text], {'lr': ['1', '2']}) for text in ('a.py x=1', 'our own: a.py x=1'))
    assert [variant.name for variant in labelled] == ['our own lr=1', 'our own lr=2']
    assert [variant.folder for variant in labelled] == [variant.folder for variant in plain]
    assert grid(['ours: a.py'], {})[0].name == 'ours'


def test_variants_of_one_name_need_labels():
    cfg = Config(dict(train_cfg=dict(max_iters=3)))
    texts = ['a.py one.type=X', 'a.py other.type=X']
    with pytest.raises(GridError, match="both be called 'a type=X': give each a label"):
        plan_variants([(variant, cfg) for variant in grid(texts, {})], [0])
    runs = plan_variants([(variant, cfg) for variant in grid([texts[0], f'other: {texts[1]}'], {})], [0])
    assert [run.encoder for run in runs] == ['a type=X', 'other']
    depth = Config(dict(test_evaluator=dict(type='DepthPixelMetric'), train_cfg=dict(max_iters=3)))
    runs = plan_variants(list(zip(grid(['ours: a.py', 'ours: b.py'], {}), [cfg, depth])), [0])
    assert [(run.encoder, run.task) for run in runs] == [('ours', 'all'), ('ours', 'depth')]


@pytest.mark.parametrize('text', [
    '', 'a.py lr', 'a.py =3', "a.py x={'type': 'Y'}", 'a|b: a.py', 'a=b: a.py', '$x: a.py', 'a\nb: a.py'])
def test_what_is_no_variant(text):
    with pytest.raises(ValueError, match=r'expected .\[LABEL: \]CONFIG KEY=VALUE'):
        split_config(text)


def test_values_may_hold_colons():
    assert split_config('best, by far: a.py x=http://b:80/c y=') == (
        'best, by far', 'a.py', {'x': 'http://b:80/c', 'y': ''})


def test_folders_of_long_options_stay_short_and_apart():
    one, other = (Variant('a.py', {'file': f'{"long/" * 60}{name}'}).folder for name in 'xy')
    assert one != other and all(len(part) < 150 for part in (*one.split('/'), *other.split('/')))


def test_options_are_read_as_on_the_command_line():
    assert parse_options({'a': 'None', 'b': '[1,2]', 'c': '0.5', 'd': 'IRNet'}) == {
        'a': None, 'b': [1, 2], 'c': 0.5, 'd': 'IRNet'}


def test_runs_differ_by_seed_and_are_grouped_by_what_is_measured():
    configs = [Config(dict(test_evaluator=evaluator, train_cfg=dict(max_iters=3))) for evaluator in (
        dict(type='IoUMetric'), [dict(type='cmim_mm.DepthPixelMetric')], dict(type='Other'))]
    variants = [(Variant(f'{name}.py', {}), cfg) for name, cfg in zip('abc', configs)]
    runs = plan_variants(variants, [0, 7])
    assert [(run.name, run.task) for run in runs[::2]] == [
        ('a/as_is/seed0', 'segmentation'), ('b/as_is/seed0', 'depth'), ('c/as_is/seed0', 'all')]
    assert 'randomness = dict(seed=7)' in runs[1].config and runs[1].seed == 7 and runs[1].steps == 3


def test_configs_of_one_name_would_share_a_folder():
    cfg = Config(dict(train_cfg=dict(max_iters=3)))
    for texts in (['one/a.py', 'other/a.py'], ['a.py', 'again: a.py'], ['a.py x=1/2', 'a.py x=1_2']):
        with pytest.raises(GridError, match='would share the folder a/'):
            plan_variants([(variant, cfg) for variant in grid(texts, {})], [0])
