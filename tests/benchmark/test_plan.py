"""The configs of a grid's runs: paired, nested, blind to the test split, and of the encoder they name."""
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DATASETS, init_default_scope

from cmim_mm.benchmark.grid import Grid, GridError
from cmim_mm.benchmark.plan import checkpoint_of, plan_grid
from cmim_mm.datasets.layout import DataError, read_list
from cmim_mm.registry import MODELS

TASKS = '''
tasks = dict(seg=dict(config='{configs}/nyud_seg_bnn_quick.py'),
             depth=dict(config='{configs}/nyud_depth_bnn_quick.py'))
options = {{'model.decode_head.channels': 8}}
'''


@pytest.fixture
def plan(tmp_path, repository, rooms_root):
    def plan(text, root=rooms_root):
        path = tmp_path / 'grid.py'
        path.write_text((TASKS + text).format(configs=repository / 'configs'))
        runs, files = plan_grid(Grid(str(path)), tmp_path / 'work', str(root))
        for name, content in files.items():
            (tmp_path / 'work' / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / 'work' / name).write_text(content)
        return {run.name: run for run in runs}
    return plan


def config(run):
    return Config.fromstring(run.config, '.py')


def train_dataset(cfg):
    return cfg.train_dataloader.dataset.dataset


def test_runs_are_paired_and_complete(plan, rooms_root):
    runs = plan('encoders = dict(scratch=dict(), twin=dict(backbone=dict(binarizer=None)))\nseeds = [3, 4]')
    assert len(runs) == 2 + 2 * 2 * 2
    ours, twin = (config(runs[f'seg/finetune/share100/{name}/seed4']) for name in ('scratch', 'twin'))
    assert ours.randomness.seed == twin.randomness.seed == 4
    assert ours.model.backbone.binarizer == 'ReActNet' and twin.model.backbone.binarizer is None
    twin.model.backbone.binarizer = 'ReActNet'
    assert ours.to_dict() == twin.to_dict()  # nothing else differs
    assert ours.model.decode_head.channels == 8
    assert runs['seg/finetune/share100/twin/seed4'].data == (str(rooms_root), )


@pytest.mark.parametrize('held_out', [0, 20])
def test_nothing_is_chosen_on_the_test_split(plan, held_out, rooms_root):
    cfg = config(plan(f'encoders = dict(a=dict())\nheld_out = {held_out}')['seg/finetune/share100/a/seed0'])
    assert cfg.default_hooks.checkpoint.save_best is None
    assert cfg.test_dataloader.dataset.ann_file == 'test.txt'
    train, test = (read_list(str(rooms_root / f'{name}.txt')) for name in ('train', 'test'))
    if not held_out:
        assert cfg.val_dataloader is None and train_dataset(cfg).ann_file == 'train.txt'
    else:
        validated, trained = (read_list(path) for path in (
            cfg.val_dataloader.dataset.ann_file, train_dataset(cfg).ann_file))
        assert len(validated) == 2 and sorted(validated + trained) == sorted(train)
        assert not {*test} & {*validated}


def test_best_on_the_held_out_part(plan):
    runs = plan("encoders = dict(a=dict())\nheld_out = 20\ncheckpoint = 'best'")
    run = runs['depth/finetune/share100/a/seed0']
    hook = config(run).default_hooks.checkpoint
    assert run.checkpoint == 'best' and hook.save_best == 'pixel/rmse' and hook.rule == 'less'


def test_shares_are_nested_and_the_same_for_all_encoders(plan, rooms_root):
    runs = plan('encoders = dict(a=dict(), b=dict(backbone=dict(binarizer="IRNet")))\n'
                'shares = [20, 50, 100]\nseeds = [0, 1]\n'
                "tasks = dict(seg=dict(config='{configs}/nyud_seg_bnn_quick.py'))")

    def frames(share, encoder='a', seed=0):
        path = train_dataset(config(runs[f'seg/finetune/share{share}/{encoder}/seed{seed}'])).ann_file
        return read_list(str(rooms_root / path)) if path == 'train.txt' else read_list(path)

    assert [len(frames(share)) for share in (20, 50, 100)] == [2, 4, 7]
    assert {*frames(20)} < {*frames(50)} < {*frames(100)}
    assert frames(20) == frames(20, 'b')
    assert frames(20) != frames(20, seed=1)


@pytest.mark.parametrize('mode', ['frozen', 'linear'])
@pytest.mark.parametrize('task', ['seg', 'depth'])
def test_only_the_head_trains(plan, mode, task):
    cfg = config(plan(f"encoders = dict(a=dict())\nmodes = ['{mode}']")[f'{task}/{mode}/share100/a/seed0'])
    init_default_scope('mmseg')
    torch.manual_seed(0)
    model, dataset = MODELS.build(cfg.model), DATASETS.build(cfg.train_dataloader.dataset)
    model.train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    data = pseudo_collate([dataset[0, 0], dataset[1, 1]])
    losses = model.train_step(data, build_optim_wrapper(model, cfg.optim_wrapper))
    assert all(value.isfinite() for value in losses.values())
    moved = {key for key, value in model.state_dict().items() if not torch.equal(value, before[key])}
    trained = {key for key in moved if key in dict(model.named_parameters())}
    assert not any(key.startswith('backbone.') for key in moved)
    if mode == 'linear':
        assert trained == {'decode_head.conv_seg.weight', 'decode_head.conv_seg.bias'}
        assert model.decode_head.conv_seg.weight.shape[1:] == (64 + 128 + 256 + 512, 1, 1)
    else:
        assert len(trained) > 4


def test_a_pretrained_encoder_comes_first_and_goes_in_whole(plan, tmp_path, rooms_root):
    runs = plan('''
encoders = dict(
    second=dict(pretrain='{configs}/nyud_depth_bnn_quick.py', data_root='{{data_root}}', options={{
        'model.backbone.binarizer': 'IRNet', 'load_from': '{{first}}'}}),
    first=dict(pretrain='{configs}/nyud_depth_bnn_quick.py', data_root='{{data_root}}', transfer=False))
tasks = dict(seg=dict(config='{configs}/nyud_seg_bnn_quick.py'))''')
    names = list(runs)
    assert names[:2] == ['pretrain/first', 'pretrain/second'] and len(runs) == 4
    assert runs['pretrain/second'].needs == ('pretrain/first', )
    pretraining = config(runs['pretrain/second'])
    assert pretraining.load_from == checkpoint_of(tmp_path / 'work', 'pretrain/first')
    assert train_dataset(pretraining).data_root == str(rooms_root)
    run = runs['seg/finetune/share100/second/seed0']
    backbone = config(run).model.backbone
    assert run.needs == ('pretrain/second', ) and backbone.binarizer == 'IRNet'
    assert backbone.init_cfg == dict(type='Pretrained', prefix='backbone.',
                                     checkpoint=checkpoint_of(tmp_path / 'work', 'pretrain/second'))


def test_an_encoder_is_fine_tuned_its_own_way(plan):
    runs = plan('''
encoders = dict(plain=dict(), low=dict(finetune={{
    'optim_wrapper.paramwise_cfg.custom_keys.backbone.lr_mult': 0.1, 'optim_wrapper.optimizer.lr': 3e-3}}))
tasks = dict(seg=dict(config='{configs}/nyud_seg_bnn_quick.py'))
modes = dict(finetune={{'optim_wrapper.optimizer.lr': 2e-3}}, linear={{}})''')
    rates = {}
    for mode in ('finetune', 'linear'):
        for encoder in ('plain', 'low'):
            wrapper = config(runs[f'seg/{mode}/share100/{encoder}/seed0']).optim_wrapper
            rates[mode, encoder] = wrapper.optimizer.lr, wrapper.get('paramwise_cfg')
    assert rates['finetune', 'plain'] == (2e-3, None)
    assert rates['finetune', 'low'] == (3e-3, dict(custom_keys=dict(backbone=dict(lr_mult=0.1))))
    assert rates['linear', 'low'] == rates['linear', 'plain'] == (4e-3, None)


@pytest.mark.parametrize('text, message', [
    ("encoders = dict(a=dict(finetune={{'optim_wrappr.optimizer.lr': 1}}))",
     "encoders.a.finetune: .*did you mean 'optim_wrapper'"),
    ("encoders = dict(a=dict(finetune=0.1))", 'encoders.a.finetune'),
    ("encoders = dict(a=dict(backbone=dict(depth=20)))", "'a' does not fit task 'seg': its maps have"),
    ("encoders = dict(a=dict(backbone=dict(binarizer='IRnet')))", "does not fit.*cannot be built.*IRnet"),
    ("encoders = dict(a=dict(backbone=dict(deph=18)))", "does not fit.*cannot be built.*deph"),
    ("encoders = dict(a=dict())\noptions = {{'train_cfgs.max_iters': 1}}",
     "tasks.seg: .*did you mean 'train_cfg'"),
    ("encoders = dict(a=dict())\nmodes = dict(linear={{'param_scheduler.7.end': 1}})",
     'modes.linear: .*does not fit'),
    ("encoders = dict(a=dict(pretrain='{configs}/nyud_seg_bnn.py', options={{'load_from': '{{b}}'}}))",
     "the grid pretrains no 'b'"),
    ("""encoders = dict(a=dict(pretrain='{configs}/nyud_seg_bnn.py', data_root='{{data_root}}',
                             options={{'load_from': '{{a}}'}}))""", 'need each other')])
def test_what_does_not_fit(plan, text, message):
    with pytest.raises(GridError, match=message):
        plan(text)


def test_a_checkpoint_that_does_not_fit(plan, tmp_path):
    torch.save({'state_dict': {'backbone.conv1.weight': torch.zeros(1)}}, tmp_path / 'x.pth')
    with pytest.raises(GridError, match="encoder 'a' does not fit task 'seg'.*x.pth.*missing"):
        plan(f"encoders = dict(a=dict(checkpoint='{tmp_path}/x.pth'))")


def test_missing_data(plan, tmp_path):
    with pytest.raises(DataError, match='No data in'):
        plan('encoders = dict(a=dict())', tmp_path / 'none')
