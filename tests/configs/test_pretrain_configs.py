"""Every config of the classification stage builds its data and model and takes a training step."""
from pathlib import Path

import pytest
import torch
from fake_cifar import write_cifar10, write_cifar100, write_class_folders
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DATASETS, METRICS, MODELS, DefaultScope

from cmim_mm.binarize import BinaryConv2d
from cmim_mm.datasets.data_root import dataset_cfgs, set_data_root

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
NAMES = sorted(p.name for p in (CONFIGS / 'pretrain').glob('*.py'))
WRITERS = dict(cifar10=write_cifar10, cifar100=write_cifar100,
               imagenet=lambda root: write_class_folders(root, size=(260, 300), per_class=1),
               indoor=lambda root: write_class_folders(root, size=(128, 128), per_class=1))


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
    cfg = Config.fromfile(CONFIGS / 'pretrain' / name)
    set_data_root(cfg, str(roots[Path(name).stem.rpartition('_')[2]]))
    return cfg


@pytest.mark.parametrize('name', NAMES)
def test_config_trains_one_step_and_predicts(name, roots):
    cfg = load(name, roots)
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    model.init_weights()
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
    losses = model.train_step(data, build_optim_wrapper(model, cfg.optim_wrapper))
    assert all(torch.isfinite(v) for v in losses.values()) and losses['loss'] == losses['loss_cls']
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


@pytest.mark.parametrize('name', NAMES)
def test_config_keeps_the_conventions(name):
    cfg = Config.fromfile(CONFIGS / 'pretrain' / name)
    assert 'auxiliary_head' not in cfg.model and isinstance(cfg.model.backbone.binarizer, (str, type(None)))
    assert cfg.test_dataloader.dataset == cfg.val_dataloader.dataset
    assert {d.split for d in dataset_cfgs(Config(dict(train_dataloader=cfg.train_dataloader)))} == {'train'}
    assert {d.split for d in dataset_cfgs(Config(dict(test_dataloader=cfg.test_dataloader)))} == {'val'}
    assert cfg.param_scheduler[-1].end == cfg.train_cfg.max_iters
    assert cfg.default_hooks.checkpoint.save_best == 'accuracy/top1'
