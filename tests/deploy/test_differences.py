"""Flips and changed predictions, counted on procedural rooms."""
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from test_packed_models import randomize

from cmim_mm.datasets.data_root import set_data_root
from cmim_mm.deploy.convert import convert
from cmim_mm.deploy.differences import compare
from cmim_mm.deploy.packing import build, for_inference
from cmim_mm.deploy.sign_conv import SignConv2d

KEYS = dict(seg='mIoU', depth='pixel/rmse')


@pytest.fixture(params=KEYS)
@torch.no_grad()
def case(request, repository, rooms_root):
    """(task, trained, packed, what compare takes after the models)."""
    init_default_scope('mmseg')
    cfg = Config.fromfile(repository / f'configs/nyud_{request.param}_bnn.py')
    set_data_root(cfg, str(rooms_root))
    cfg.test_dataloader.update(num_workers=0, persistent_workers=False)
    torch.manual_seed(0)
    trained = build(dict(model=for_inference(cfg.model.to_dict())))
    randomize(trained)
    trained.decode_head.conv_seg.weight.normal_(std=0.1)
    packed = build(dict(model=for_inference(cfg.model.to_dict())))
    packed.load_state_dict(trained.state_dict())
    loader = Runner.build_dataloader(cfg.test_dataloader)
    return request.param, trained, convert(packed), (loader, cfg.test_evaluator, loader.dataset.metainfo)


def test_a_packed_model_is_the_trained_one(case):
    task, *models, rest = case
    found = compare(*models, *rest)
    assert found.images == len(rest[0]) > 0 and found.signs > 1e5
    assert found.flips_per_million < 20 and found.changed_per_million < 2000 and found.depth < 0.1
    assert found.trained.keys() == found.packed.keys() and KEYS[task] in found.trained
    assert found.packed[KEYS[task]] == pytest.approx(found.trained[KEYS[task]], abs=1e-3)
    assert (found.labels > 0) is (task == 'seg')


def test_what_differs_is_counted(case):
    task, trained, packed, rest = case
    first = next(m for m in packed.modules() if isinstance(m, SignConv2d))
    first.offset += 0.05
    first.prepare()
    packed.decode_head.conv_seg.bias[0] += 0.5
    found = compare(trained, packed, *rest)
    assert found.flips_per_million > 100 and found.touched == found.images
    assert found.changed > 0 if task == 'seg' else found.depth > 0.01
