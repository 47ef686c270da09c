"""A grid file is read as it stands, or refused with the key and what was expected."""
import pytest

from cmim_mm.benchmark.grid import Grid, GridError

GOOD = '''
_own = {{'train_cfg.max_iters': 3}}
encoders = dict(
    scratch=dict(), twin=dict(backbone=dict(binarizer=None)),
    rooms=dict(pretrain='{configs}/nyud_depth_bnn_quick.py', options=_own))
tasks = dict(seg=dict(config='{configs}/nyud_seg_bnn_quick.py'))
'''


@pytest.fixture
def write(tmp_path, repository):
    def write(more='', text=GOOD):
        path = tmp_path / 'grid.py'
        path.write_text(text.format(configs=repository / 'configs') + more)
        return str(path)
    return write


def test_defaults_and_own_names(write):
    grid = Grid(write())
    assert grid.modes == {'finetune': {}} and grid.shares == [100] and grid.seeds == [0]
    assert grid.baseline == 'scratch' and grid.checkpoint == 'last'
    assert grid.from_scratch == ['scratch', 'twin']
    assert grid.encoders['rooms']['options'] == {'train_cfg.max_iters': 3}


def test_modes_may_have_options(write):
    assert Grid(write("modes = dict(linear={'optim_wrapper.optimizer.lr': 0.1})")).modes == {
        'linear': {'optim_wrapper.optimizer.lr': 0.1}}


@pytest.mark.parametrize('more, message', [
    ("encoder = dict()", "encoder there is no such key; did you mean 'encoders'"),
    ("shares = [10, 200]", 'shares has 200, expected whole numbers from 1 to 100'),
    ("shares = [0.1]", 'shares has 0.1'), ("shares = 10", 'shares is 10, expected a list'),
    ("seeds = [0, 0]", 'seeds is .*different values'), ("seeds = [True]", 'seeds has True'),
    ("seeds = []", 'seeds is'), ("modes = ['probe']", "modes is 'probe', expected 'finetune'"),
    ("modes = ['linaer']", "did you mean 'linear'"), ("modes = {'linear': 3}", 'modes.linear is 3'),
    ("baseline = 'scrach'", "baseline is 'scrach'.*did you mean 'scratch'"),
    ("checkpoint = 'best'", "'best', which needs a part of train"),
    ("checkpoint = 'test'", "checkpoint is 'test', expected 'last' or 'best'"),
    ("held_out = 80", 'held_out has 80'), ("options = 3", 'options is 3, expected a dict'),
    ("encoders = dict()", 'encoders is {}, expected a dict of one or more'),
    ("tasks = None", 'tasks is None'),
    ("tasks = dict(seg=dict(confg='x'))", 'tasks.seg.confg there is no such'),
    ("tasks = dict(seg=dict())", 'tasks.seg.config is None'),
    ("tasks = dict(seg=dict(config='none.py'))", "tasks.seg.config 'none.py': there is no such config"),
    ("encoders = {'a/b': dict()}", 'a/b is no name for a folder'),
    ("encoders = dict(a=3)", 'encoders.a is 3'),
    ("encoders = dict(a=dict(chekpoint='x'))", "did you mean 'checkpoint'"),
    ("encoders = dict(a=dict(checkpoint='none.pth'))", "a.checkpoint 'none.pth': there is no such file"),
    ("encoders = dict(a=dict(checkpoint='x', pretrain='y'))", 'both checkpoint and pretrain'),
    ("encoders = dict(a=dict(options={}))", 'a.options goes with pretrain'),
    ("encoders = dict(a=dict(pretrain='x', backbone={}))", 'follows from the pretraining config'),
    ("encoders = dict(a=dict(pretrain='none.py'))", "a.pretrain 'none.py': there is no such config"),
    ("1 +", 'cannot be read as a grid')])
def test_mistakes(write, more, message):
    path = write(more)
    with pytest.raises(GridError, match=message) as error:
        Grid(path)
    assert str(error.value).startswith(path) and '\n' not in str(error.value).split(' cannot be read')[0]


def test_missing_file():
    with pytest.raises(GridError, match='no such grid'):
        Grid('none.py')
