"""Costs against published figures and by hand; the tool on configs."""
import csv
import json
import os
import subprocess
import sys

import pytest
import torch
from torch import nn

from cmim_mm.analysis import format_cost, model_cost
from cmim_mm.binarize import BinaryConv2d
from cmim_mm.models import BinaryVGG
from cmim_mm.registry import MODELS


class Classifier(nn.Module):
    """What the published figures count: backbone, global average pool, linear layer."""

    def __init__(self, backbone, classes=1000):
        super().__init__()
        self.backbone = MODELS.build(dict(dict(type='cmim_mm.BinaryResNet'), **backbone))
        *_, last = (m for m in self.backbone.modules() if isinstance(m, nn.BatchNorm2d))
        self.fc = nn.Linear(last.num_features, classes)

    def forward(self, x):
        return self.fc(self.backbone(x)[-1].mean((2, 3)))


MOBILENET = 'cmim_mm.BinaryMobileNet'


@pytest.mark.parametrize('backbone, key, published', [
    (dict(binarizer=None), 'ops', 1.81e9),                  # ResNet-18 (arXiv 1808.00278, table 3)
    (dict(binarizer=None), 'bytes', 374.1e6 / 8),           # Mbit there
    (dict(binarizer=None, depth=34), 'ops', 3.66e9),
    (dict(binarizer='BiReal'), 'ops', 1.63e8),              # Bi-Real-18
    (dict(binarizer='BiReal'), 'bytes', 33.6e6 / 8),
    (dict(binarizer='BiReal', depth=34), 'ops', 1.93e8),
    (dict(binarizer='BiReal', depth=34), 'bytes', 43.7e6 / 8),
    (dict(binarizer='XNORNet'), 'ops', 1.67e8),
    (dict(binarizer='XNORNet'), 'bytes', 33.7e6 / 8),
    (dict(binarizer='ReActNet', type=MOBILENET), 'ops', 0.87e8),  # ReActNet-A (arXiv 2003.03488, table 1)
    (dict(binarizer='ReActNet', type=MOBILENET), 'flops', 0.12e8),
    (dict(binarizer='ReActNet', type=MOBILENET), 'bops', 4.82e9),
    (dict(binarizer='ReActNet', type=MOBILENET), 'params', 29.3e6),
    (dict(binarizer=None, depth=50), 'ops', 4.09e9),        # ResNet-50 with the stride at its 3x3
])
def test_published_figures(backbone, key, published):
    assert model_cost(Classifier(backbone), (3, 224, 224)).total[key] == pytest.approx(published, rel=0.02)


@pytest.mark.parametrize('backbone, classes, params', [
    (dict(), 1000, 11_689_512), (dict(depth=34), 1000, 21_797_672), (dict(depth=50), 1000, 25_557_032),
    (dict(depth=20), 10, 269_722), (dict(stem='cifar'), 10, 11_173_962),
])
def test_parameters_of_full_precision_resnets(backbone, classes, params):
    model = Classifier(dict(backbone, binarizer=None), classes)
    assert sum(p.numel() for p in model.parameters()) == params


def test_vgg_small():
    """With the published classifier, 8192 -> 10: 4.66M parameters, 608M multiply-adds, 13M OPs."""
    for binarizer, ops in ((None, 0.608e9), ('IRNet', 1.3e7)):
        model = nn.Sequential(BinaryVGG(binarizer=binarizer, out_indices=[2]), Last(), nn.Flatten(),
                              nn.Linear(512 * 16, 10))
        cost = model_cost(model, (3, 32, 32)).total
        assert cost['params'] == 4_574_592 + 2 * (2 * 128 + 2 * 256 + 2 * 512) + 512 * 16 * 10 + 10
        assert cost['ops'] == pytest.approx(ops, rel=0.02)


class Last(nn.Module):
    def forward(self, features):
        return features[-1]


def test_layers_by_hand():
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1),               # 8x8 -> 4x4
        nn.BatchNorm2d(8), nn.PReLU(8),
        BinaryConv2d(8, 6, 3, padding=1, groups=2, binarizer='ReActNet'),
        nn.ConvTranspose2d(6, 4, 2, stride=2, groups=2),       # 4x4 -> 8x8
        nn.Flatten(), nn.Linear(4 * 64, 5))
    model[0].eval()
    state = {k: v.clone() for k, v in model.state_dict().items()}
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    cost = model_cost(model, (3, 8, 8))
    assert torch.equal(torch.rand(1), expected), 'the global seed moved'
    assert all(torch.equal(v, state[k]) for k, v in model.state_dict().items())
    assert [m.training for m in model] == [False] + [True] * 6

    first, binary, transposed, linear, norm, prelu = cost.layers
    assert (first.flops, first.params, first.bytes) == (16 * 8 * 27, 8 * 27 + 8, 4 * (8 * 27 + 8))
    assert (binary.input_bits, binary.weight_bits) == (1, 1)
    assert (binary.flops, binary.bops) == (0, 16 * 6 * 4 * 9)
    assert binary.ops == binary.bops / 64
    assert binary.params == 6 * 4 * 9 + 8                      # RSign's shifts
    assert binary.bytes == 6 * 4 * 9 / 8 + 8 * 4
    assert (transposed.flops, transposed.params) == (6 * 16 * 2 * 4, 6 * 2 * 4 + 4)
    assert (linear.flops, linear.params) == (256 * 5, 256 * 5 + 5)
    assert (norm.type, norm.params, norm.macs) == ('BatchNorm2d', 16, 0)
    assert (prelu.type, prelu.params) == ('PReLU', 8)
    assert cost.total['params'] == sum(p.numel() for p in model.parameters())


def test_shared_layer_computes_twice_and_is_stored_once():
    conv = nn.Conv2d(4, 4, 1, bias=False)
    cost = model_cost(nn.Sequential(conv, conv), (4, 2, 2))
    assert cost.total['flops'] == 2 * 16 * 4 and cost.total['params'] == 16


def test_what_does_not_run_does_not_cost():
    model = nn.Sequential(nn.Conv2d(1, 1, 1))
    model.append(nn.Identity())
    model[1].auxiliary = nn.Linear(100, 100)
    assert model_cost(model, (1, 2, 2)).total['params'] == 2


def test_hooks_are_gone_after_an_error():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Linear(7, 2))
    with pytest.raises(RuntimeError):
        model_cost(model, (3, 4, 4))
    assert not model[0]._forward_hooks and model.training
    with pytest.raises(ValueError, match='channels, height, width'):
        model_cost(model, (3, 4))


def test_formats_agree():
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), BinaryConv2d(8, 8, 1))
    cost = model_cost(model, (3, 9, 9))
    report = json.loads(format_cost(cost, 'json'))
    rows = list(csv.DictReader(format_cost(cost, 'csv').splitlines()))
    assert [row['name'] for row in rows] == ['0', '2', '(1 layers)', 'total']
    assert report['total'] == cost.total and report['input_shape'] == [3, 9, 9]
    for key, value in cost.total.items():
        assert float(rows[-1][key]) == value == sum(layer[key] for layer in report['layers'])
    markdown = format_cost(cost, 'markdown').splitlines()
    assert len(markdown) == 2 + 4 and {line.count('|') for line in markdown} == {10}
    assert format_cost(cost).splitlines()[-2].startswith('total')
    with pytest.raises(ValueError, match='table, markdown, csv, json'):
        format_cost(cost, 'xml')


CONFIG = '''
default_scope = 'mmseg'
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(type='cmim_mm.DenseDataPreProcessor', input_scale=0.5),
    backbone=dict(type='cmim_mm.BinaryResNet', binarizer='ReActNet', in_channels=4),
    decode_head=dict(type='FCNHead', in_channels=512, channels=8, num_classes=5),
    auxiliary_head=dict(type='FCNHead', in_channels=256, in_index=2, channels=8, num_classes=5),
    test_cfg=dict(mode='whole'))
'''


def test_tool(tmp_path, repository):
    (tmp_path / 'config.py').write_text(CONFIG)
    out = tmp_path / 'new' / 'cost.json'
    command = [sys.executable, 'tools/analysis_tools/get_cost.py', str(tmp_path / 'config.py'),
               '--shape', '64', '96', '--format', 'json', '--out', str(out),
               '--cfg-options', 'model.backbone.binarizer=BiReal']
    env = dict(os.environ, PYTHONPATH=str(repository))
    subprocess.run(command, check=True, cwd=repository, env=env)
    report = json.loads(out.read_text())
    assert report['input_shape'] == [4, 32, 48]
    names = {layer['name']: layer for layer in report['layers']}
    assert names['backbone.conv1']['flops'] == 16 * 24 * 64 * 4 * 49
    assert names['backbone.layer1.0.conv1']['params'] == 64 * 64 * 9  # BiReal has no shifts
    assert 'decode_head.conv_seg' in names and not any('auxiliary' in name for name in names)
