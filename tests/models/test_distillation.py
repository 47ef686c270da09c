"""Distillation of logits, alone and as a classifier's option."""
import pytest
import torch
from cmim_models import images, samples, step

from cmim_mm.models.losses import Distillation
from cmim_mm.registry import MODELS

HEAD = dict(type='cmim_mm.ClsHead', in_channels=64, num_classes=3)


def test_is_the_divergence_of_softened_probabilities():
    torch.manual_seed(0)
    student, teacher = torch.randn(2, 5, 3)
    p, q = (teacher / 4).softmax(1), (student / 4).softmax(1)
    expected = 2 * 16 * (p * (p / q).log()).sum(1).mean()
    assert Distillation(4.0, 2.0)(student, teacher).item() == pytest.approx(expected.item(), rel=1e-5)
    assert Distillation()(teacher, teacher).item() == pytest.approx(0, abs=1e-6)


def test_misuse_is_named():
    with pytest.raises(ValueError, match='temperature=0'):
        Distillation(temperature=0)
    with pytest.raises(ValueError, match='none ran: set model.teacher'):
        head = MODELS.build(dict(HEAD, distill={}))
        head.loss([torch.randn(4, 64, 2, 2)], samples())


def test_classifier_learns_from_labels_and_teacher(mmseg_scope, tmp_path):
    torch.manual_seed(0)
    twin = dict(type='cmim_mm.ImageClassifier', decode_head=HEAD,
                backbone=dict(type='cmim_mm.BinaryResNet', depth=20, binarizer=None))
    torch.save(MODELS.build(twin).state_dict(), tmp_path / 'teacher.pth')
    teacher = dict(type='cmim_mm.FrozenTeacher', model=twin, checkpoint=str(tmp_path / 'teacher.pth'))
    model = MODELS.build(dict(
        type='cmim_mm.ImageClassifier', backbone=dict(type='cmim_mm.BinaryResNet', depth=20),
        decode_head=dict(HEAD, distill=dict(temperature=4.0, weight=0.5)), teacher=teacher))
    model.init_weights()
    data_samples, calls = samples(), []
    model.backbone.register_forward_hook(lambda *_: calls.append(1))
    model.decode_head.fc.register_forward_hook(lambda _, x, y: calls.append(y.detach()))
    log = step(model, data_samples=data_samples)
    assert len(calls) == 2 and not any('gt_score' in sample for sample in data_samples)
    logits = calls[1]
    labels = torch.cat([sample.gt_label for sample in data_samples])
    expected = torch.nn.functional.cross_entropy(logits, labels)
    assert log['loss_cls'] == pytest.approx(expected.item(), rel=1e-5)
    expected = Distillation(4.0, 0.5)(logits, model.teacher(images()).logits)
    assert log['loss_distill'] == pytest.approx(expected.item(), rel=1e-4)
    assert log['loss'] == pytest.approx(log['loss_cls'] + log['loss_distill'], rel=1e-5)
