"""Training on a teacher's probabilities, and ReActNet's two steps."""
import copy

import pytest
import torch
import torch.nn.functional as F
from mmengine.optim import build_optim_wrapper

from cmim_mm.binarize import BinaryConv2d
from cmim_mm.checkpoint import CheckpointError
from cmim_mm.registry import MODELS
from cmim_mm.structures import ClsDataSample

HEAD = dict(type='cmim_mm.ClsHead', num_classes=5, in_channels=64)
TAUGHT = dict(HEAD, labels='teacher')
TEACHER = dict(
    type='cmim_mm.FrozenTeacher', checkpoint='not read here', model=dict(
        type='cmim_mm.ImageClassifier', backbone=dict(type='cmim_mm.BinaryResNet', depth=20, binarizer=None),
        decode_head=HEAD))
REAL = dict(type='ReActNet', real_weights=True)


def classifier(binarizer='ReActNet', **more):
    torch.manual_seed(0)
    model = MODELS.build(dict(
        type='cmim_mm.ImageClassifier', decode_head=TAUGHT if 'teacher' in more else HEAD,
        data_preprocessor=dict(type='cmim_mm.ClsDataPreProcessor'),
        backbone=dict(type='cmim_mm.BinaryResNet', depth=20, binarizer=binarizer), **copy.deepcopy(more)))
    if model.teacher is not None:
        model.teacher.loaded = True  # with its random weights
    return model


def batch():
    torch.manual_seed(1)
    return dict(inputs=[torch.randint(0, 256, (3, 16, 16), dtype=torch.uint8) for _ in range(4)],
                data_samples=[ClsDataSample(gt_label=torch.tensor([i])) for i in range(4)])


def train_step(model, decay=0.0):
    wrapper = build_optim_wrapper(model, dict(
        type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-2, weight_decay=decay)))
    return model.train_step(batch(), wrapper), wrapper.optimizer


def test_loss_is_the_cross_entropy_with_the_teachers_probabilities(mmseg_scope):
    model = classifier(teacher=TEACHER).train()
    data = model.data_preprocessor(batch(), training=True)
    with torch.no_grad():
        q = model.teacher.model(data['inputs']).softmax(1)
        logits = model.decode_head(model.backbone(data['inputs']))
    losses = model(**data, mode='loss')
    expected = -(q * logits.log_softmax(1)).sum(1).mean().item()
    assert losses['loss_cls'].item() == pytest.approx(expected, rel=1e-5)
    hard = F.cross_entropy(logits, torch.arange(4)).item()
    assert abs(losses['loss_cls'].item() - hard) > 1e-3
    right = (logits.argmax(1) == torch.arange(4)).float().mean().item()  # of the labels, not of the teacher's
    assert losses['acc_top1'].item() == pytest.approx(100 * right)
    assert 'gt_score' not in model(model.data_preprocessor(batch())['inputs'], mode='predict')[0]


def test_the_teacher_neither_trains_nor_adds_keys(mmseg_scope):
    model, without = classifier(teacher=TEACHER), classifier()
    assert list(model.state_dict()) == list(without.state_dict())
    before = copy.deepcopy(model.teacher.model.state_dict())
    _, optimizer = train_step(model, decay=0.1)
    inside = {id(p) for group in optimizer.param_groups for p in group['params']}
    assert inside == {id(p) for p in model.parameters()}
    assert not inside & {id(p) for p in model.teacher.model.parameters()}
    assert all(torch.equal(value, before[key]) for key, value in model.teacher.model.state_dict().items())


def test_a_teacher_without_a_classifier_is_refused(mmseg_scope):
    model = classifier(teacher=dict(TEACHER, model=TEACHER['model']['backbone'])).train()
    with pytest.raises(ValueError, match='a backbone alone gives no logits'):
        train_step(model)


def test_second_step_starts_from_the_first_ones_weights(mmseg_scope, tmp_path):
    first, path = classifier(REAL), tmp_path / 'first.pth'
    start = first.backbone.layer1[0].conv1.weight.clone()
    train_step(first)
    conv = first.backbone.layer1[0].conv1
    assert torch.equal(conv.binary_weight(), conv.weight) and not torch.equal(conv.weight, start)
    torch.save(dict(state_dict=first.state_dict()), path)
    second = classifier(init_cfg=dict(type='Pretrained', checkpoint=str(path)))
    second.init_weights()
    assert list(second.state_dict()) == list(first.state_dict())
    assert all(torch.equal(value, first.state_dict()[key]) for key, value in second.state_dict().items())
    for module in second.modules():
        if isinstance(module, BinaryConv2d):
            assert (module.binary_weight().flatten(1).abs().std(1) < 1e-6).all()
    train_step(second)
    with pytest.raises(CheckpointError, match='ImageClassifier: .* missing: .*binarizer'):
        classifier('AdaBin', init_cfg=dict(type='Pretrained', checkpoint=str(path))).init_weights()
