"""The frozen teacher: out of sight of optimizer and checkpoints, in eval mode, loaded whole or not at all."""
import copy

import pytest
import torch
from mmengine.model import BaseModule
from torch import nn

from cmim_mm.checkpoint import CheckpointError
from cmim_mm.models import teacher as teacher_module
from cmim_mm.models.teacher import FrozenTeacher
from cmim_mm.registry import MODELS

BACKBONE = dict(type='cmim_mm.BinaryResNet', depth=20, binarizer=None)
CLASSIFIER = dict(type='cmim_mm.ImageClassifier', backbone=BACKBONE,
                  decode_head=dict(type='cmim_mm.ClsHead', num_classes=5, in_channels=64))


class Owner(BaseModule):
    """A model with a teacher."""

    def __init__(self, teacher):
        super().__init__()
        self.fc = nn.Linear(2, 2)
        self.teacher = teacher


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """A classifier and the path of its checkpoint."""
    torch.manual_seed(0)
    model, path = MODELS.build(CLASSIFIER), tmp_path_factory.mktemp('fp') / 'fp.pth'
    model(torch.randn(4, 3, 16, 16))  # moves the norms' statistics
    torch.save(dict(state_dict=model.state_dict()), path)
    return model.eval(), str(path)


def test_gives_what_the_model_gives_and_no_gradient(trained):
    model, path = trained
    owner = Owner(FrozenTeacher(CLASSIFIER, path))
    owner.init_weights()
    images = torch.randn(2, 3, 16, 16)
    taught = owner.train().teacher(images)
    features, logits = taught.features, taught.logits
    with torch.no_grad():
        expected = model.extract_feat(images)
        assert torch.equal(logits, model(images))
    assert len(features) == 3 and all(map(torch.equal, features, expected))
    assert not logits.requires_grad and not features[0].requires_grad


def test_backbone_alone_by_prefix(trained):
    model, path = trained
    teacher = FrozenTeacher(BACKBONE, path, prefix='backbone')
    teacher.init_weights()
    images = torch.randn(2, 3, 16, 16)
    taught = teacher(images)
    with pytest.raises(ValueError, match='a backbone alone gives no logits'):
        taught.logits  # noqa: B018
    with torch.no_grad():
        assert torch.equal(taught.features[-1], model.backbone(images)[-1])


@pytest.mark.parametrize('input_scale, pieces', [(1.0, 2), (2.0, 5)])
def test_on_a_cpu_it_sees_few_images_at_once(trained, monkeypatch, input_scale, pieces):
    teacher, calls = FrozenTeacher(CLASSIFIER, trained[1], input_scale=input_scale), []
    teacher.init_weights()
    images = torch.randn(5, 3, 16, 16).contiguous(memory_format=torch.channels_last)
    whole = teacher(images)
    monkeypatch.setattr(teacher_module, 'PIXELS', 4 * 16 * 16)
    teacher.model.backbone.register_forward_hook(lambda *_: calls.append(1))
    taught = teacher(images)
    assert len(calls) == pieces
    for one, other in zip(taught.features, whole.features):
        torch.testing.assert_close(one, other)
        assert one.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(taught.logits, whole.logits)


def test_owner_moves_it_but_neither_trains_nor_saves_it(trained):
    owner = Owner(FrozenTeacher(CLASSIFIER, trained[1]))
    owner.init_weights()
    held = owner.teacher.model
    own = {'fc.weight', 'fc.bias'}
    assert {name for name, _ in owner.named_parameters()} == set(owner.state_dict()) == own
    assert held not in list(owner.modules()) and not list(owner.teacher.buffers())
    assert not any(p.requires_grad for p in held.parameters())
    owner.train()
    assert not any(m.training for m in held.modules())
    before = held.backbone.bn1.running_mean.clone()
    owner.teacher(torch.randn(4, 3, 16, 16))
    assert torch.equal(held.backbone.bn1.running_mean, before)
    owner.double()
    assert held.backbone.conv1.weight.dtype == torch.float64
    copied = copy.deepcopy(owner).half()
    assert copied.teacher.model.decode_head.fc.weight.dtype == torch.float16
    assert held.decode_head.fc.weight.dtype == torch.float64


def test_understands_a_published_resnet(trained, tmp_path):
    model, _ = trained
    published = {key.replace('backbone.', '').replace('decode_head.', ''): value
                 for key, value in model.state_dict().items() if not key.endswith('num_batches_tracked')}
    assert {'conv1.weight', 'fc.weight', 'layer1.0.bn1.weight'} < set(published)
    torch.save(published, tmp_path / 'resnet.pth')
    teacher = FrozenTeacher(CLASSIFIER, str(tmp_path / 'resnet.pth'))
    teacher.init_weights()
    images = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        assert torch.equal(teacher(images).logits, model(images))


def test_a_missing_or_wrong_checkpoint_is_an_error(trained, tmp_path):
    teacher = FrozenTeacher(CLASSIFIER, str(tmp_path / 'fp_r18_cifar10' / 'iter_1.pth'))
    with pytest.raises(CheckpointError, match=r'python tools/train.py configs/pretrain/fp_r18_cifar10.py'):
        Owner(teacher).init_weights()
    with pytest.raises(RuntimeError, match='no weights yet'):
        teacher(torch.randn(1, 3, 16, 16))
    other = copy.deepcopy(CLASSIFIER)
    other['decode_head'].update(num_classes=6)
    with pytest.raises(CheckpointError, match='of another shape: decode_head.fc.bias'):
        FrozenTeacher(other, trained[1]).init_weights()
    with pytest.raises(CheckpointError, match=r"whole model: add prefix='backbone.'"):
        FrozenTeacher(BACKBONE, trained[1]).init_weights()


def test_what_another_tool_left_goes_by_one_option(trained, tmp_path):
    model, path = trained
    counted = {**model.state_dict(), 'backbone.conv1.total_ops': torch.zeros(1)}
    torch.save({'state_dict': counted}, tmp_path / 'counted.pth')
    with pytest.raises(CheckpointError, match=r"go by leave_out=\['total_ops'\] beside checkpoint="):
        FrozenTeacher(CLASSIFIER, str(tmp_path / 'counted.pth')).init_weights()
    FrozenTeacher(CLASSIFIER, str(tmp_path / 'counted.pth'), leave_out=['total_ops']).init_weights()
