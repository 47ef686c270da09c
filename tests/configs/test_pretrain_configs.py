"""Every config of the classification stage builds its data and model and takes a training step."""
from pathlib import Path

import pytest
import torch
from fake_cifar import write_cifar10, write_cifar100, write_class_folders
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DATASETS, METRICS, MODELS, DefaultScope
from teacher_weights import give_teacher_weights

from cmim_mm.binarize import BINARIZERS, BinaryConv2d, set_progress
from cmim_mm.datasets.data_root import dataset_cfgs, set_data_root

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
WRITERS = dict(cifar10=write_cifar10, cifar100=write_cifar100,
               imagenet=lambda root: write_class_folders(root, size=(64, 72), per_class=1),
               indoor=lambda root: write_class_folders(root, size=(64, 64), per_class=1))
# What follows the data's name is what is piled on a config (CMIM, distillation), with tests of its own.
NAMES = ['study/cifar100.py', *sorted(f'pretrain/{p.name}' for p in (CONFIGS / 'pretrain').glob('*.py')
                                      if p.stem.split('_')[-1] in (*WRITERS, 'quick'))]


@pytest.fixture(scope='module')
def roots(tmp_path_factory):
    """Name of a data set -> folder with a little of its kind."""
    roots = {name: tmp_path_factory.mktemp(name) for name in WRITERS}
    for name, write in WRITERS.items():
        write(roots[name])
    return roots


@pytest.fixture(autouse=True)
def scope():
    with DefaultScope.overwrite_default_scope('mmseg'):
        yield


def load(name, roots):
    cfg = Config.fromfile(CONFIGS / name)
    set_data_root(cfg, str(roots[next(data for data in WRITERS if data in Path(name).stem.split('_'))]))
    for dataset in dataset_cfgs(cfg):
        for transform in dataset.get('pipeline', []):
            if transform.type == 'ResizeShortestEdge':
                transform.scale = 64
            for key in {'size', 'crop_size'} & transform.keys():
                transform[key] = 64  # for speed
    return cfg


def build(cfg):
    """The model, with its start values; a teacher keeps its random ones and no other file is read."""
    torch.manual_seed(0)
    cfg.model.pop('init_cfg', None)
    model = MODELS.build(cfg.model)
    if getattr(model, 'teacher', None) is not None:
        model.teacher.loaded = True
    model.init_weights()
    return model


def decaying(model, wrapper, part=''):
    """Names, with ``part`` in them, of the parameters that decay."""
    groups = wrapper.optimizer.param_groups
    decays = {id(p): group['weight_decay'] for group in groups for p in group['params']}
    return {name for name, p in model.named_parameters() if part in name and decays[id(p)] > 0}


@pytest.mark.parametrize('name', [*NAMES, 'study/cifar100_entropy.py'])
def test_config_trains_one_step_and_predicts(name, roots):
    cfg = load(name, roots)
    model = build(cfg)
    shares = {}

    def record(conv, inputs):
        binary = conv.binary_input(inputs[0].detach())
        shares[conv] = (binary == binary.max()).float().mean().item()

    for module in model.modules():
        if isinstance(module, BinaryConv2d):
            module.register_forward_pre_hook(record)
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    data = pseudo_collate(dataset.__getitems__([(0, 0), (1, 2)]))
    before = {k: v.detach().clone() for k, v in model.named_parameters()}
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    assert not decaying(model, wrapper, '.binarizer.')
    losses = model.train_step(data, wrapper)
    assert all(torch.isfinite(v) for v in losses.values())
    torch.testing.assert_close(losses['loss'], sum(v for k, v in losses.items() if '.loss_' in f'.{k}'))
    still = [k for k, v in model.named_parameters() if torch.equal(v, before[k])]
    assert not still, f'parameters without any update: {still}'
    assert bool(shares) == (cfg.model.backbone.binarizer is not None)
    assert all(0.05 <= share <= 0.95 for share in shares.values()), shares

    validation = DATASETS.build(cfg.val_dataloader.dataset)
    model.eval()
    with torch.no_grad():
        predicted = model.val_step(pseudo_collate([validation[0], validation[1]]))
    metric = METRICS.build(cfg.val_evaluator)
    metric.process({}, [sample.to_dict() for sample in predicted])
    assert 0 <= metric.evaluate(2)['accuracy/top5'] <= 100


@pytest.mark.parametrize('name', ['unlabelled', 'unlabelled_regression', 'views'])
def test_images_alone_train_the_encoder(name, roots, tmp_path):
    cfg = Config.fromfile(CONFIGS / f'pretrain/reactnet_r18_{name}.py')
    cfg.train_dataloader.dataset.dataset.pipeline[1].size = 64
    set_data_root(cfg, str(roots['indoor']))
    give_teacher_weights(cfg.model, tmp_path / 'teacher.pth')
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    model.init_weights()
    set_progress(model, 0.1)
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    data = pseudo_collate(dataset.__getitems__([(0, 0), (1, 1), (2, 2)]))
    for sample in data['data_samples']:
        sample.pop('gt_label')
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    before = {k: v.detach().clone() for k, v in model.named_parameters()}
    for _ in range(2):  # a queue is empty at first
        losses = model.train_step(data, wrapper)
    assert torch.isfinite(losses['loss']) and losses['loss'] > 0
    still = {k for k, v in model.named_parameters() if torch.equal(v, before[k])}
    behind = {k for k in before if k.startswith('backbone.layer4.3.') and '.binarizer.' not in k}
    # A contrast ends at what the last binary convolution reads; the rest is left to the dense training.
    assert still == (set() if name.endswith('regression') else behind), still


@pytest.mark.parametrize('data', WRITERS)
@pytest.mark.parametrize('loader', ['train_dataloader', 'val_dataloader'])
def test_batches_reach_the_network_with_the_channels_last(data, loader, roots):
    cfg = load(f'pretrain/irnet_r18_{data}.py', roots)
    dataset = DATASETS.build(cfg[loader].dataset)
    keys = [(0, 0), (1, 2)] if loader == 'train_dataloader' else [0, 1]
    batch = pseudo_collate([dataset[key] for key in keys])
    assert all(image.permute(1, 2, 0).is_contiguous() for image in batch['inputs'])
    out = MODELS.build(cfg.model.data_preprocessor)(batch, loader == 'train_dataloader')
    assert out['inputs'].is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize('name', NAMES)
def test_config_keeps_the_conventions(name):
    cfg = Config.fromfile(CONFIGS / name)
    assert 'auxiliary_head' not in cfg.model and 'binarizer' in cfg.model.backbone
    assert cfg.test_dataloader.dataset == cfg.val_dataloader.dataset
    assert {d.split for d in dataset_cfgs(Config(dict(train_dataloader=cfg.train_dataloader)))} == {'train'}
    assert {d.split for d in dataset_cfgs(Config(dict(test_dataloader=cfg.test_dataloader)))} == {'val'}
    assert cfg.param_scheduler[-1].end == cfg.train_cfg.max_iters
    assert cfg.default_hooks.checkpoint.save_best == 'accuracy/top1'


@pytest.mark.parametrize('binarizer', sorted(BINARIZERS.module_dict))
def test_any_binarizer_by_its_name(binarizer):
    cfg = Config.fromfile(CONFIGS / 'pretrain/irnet_r20_cifar10.py')
    assert cfg.model.backbone.binarizer == dict(type='IRNet', t_min=1e-3)
    cfg.merge_from_dict({'model.backbone.binarizer': binarizer})
    model = build(cfg)
    assert {type(m.binarizer).__name__ for m in model.modules() if isinstance(m, BinaryConv2d)} == {binarizer}
    assert not decaying(model, build_optim_wrapper(model, cfg.optim_wrapper), '.binarizer.')


def test_weight_decay_of_two_steps():
    """Of ReActNet's code: first 1e-5 on every tensor of four dimensions, then 0."""
    decay = {}
    for step in (1, 2):
        cfg = Config.fromfile(CONFIGS / f'pretrain/reactnet_a_step{step}_imagenet.py')
        model = build(cfg)
        wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
        decay[step] = decaying(model, wrapper)
        values = {group['weight_decay'] for group in wrapper.optimizer.param_groups}
        assert values == ({0, 1e-5} if step == 1 else {0})
        layers = [m for m in model.modules() if isinstance(m, BinaryConv2d)]
        assert layers and all(layer.binarizer.real_weights == (step == 1) for layer in layers)
        assert cfg.model.teacher.model.backbone.depth == 34 and cfg.model.decode_head.label_smoothing == 0
    four = {name for name, p in model.named_parameters() if p.dim() == 4 and '.binarizer.' not in name}
    assert decay == {1: four, 2: set()}


@pytest.mark.parametrize('net, data', [
    ('r18', 'cifar100'), ('r18', 'indoor'), ('r18', 'imagenet'), ('a', 'imagenet')])
def test_second_step_names_the_last_checkpoint_of_the_first(net, data):
    first, second = (Config.fromfile(CONFIGS / f'pretrain/reactnet_{net}_step{i}_{data}.py') for i in (1, 2))
    assert second.model.backbone.binarizer == 'ReActNet'
    assert second.model.init_cfg.checkpoint == (
        f'work_dirs/reactnet_{net}_step1_{data}/iter_{first.train_cfg.max_iters}.pth')
