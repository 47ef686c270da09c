"""tools/export.py: ONNX Runtime computes what the packed model computes."""
import re

import pytest
import torch
from mmengine.registry import init_default_scope

from cmim_mm.deploy import pack, write
from cmim_mm.deploy.packing import build
from cmim_mm.engine import cli

MODEL = dict(
    type='cmim_mm.ImageClassifier', data_preprocessor=dict(type='cmim_mm.ClsDataPreProcessor'),
    backbone=dict(type='cmim_mm.BinaryResNet', depth=20, binarizer='AdaBin'),
    decode_head=dict(type='cmim_mm.ClsHead', in_channels=64, num_classes=10))


@pytest.fixture(scope='module')
def file(tmp_path_factory):
    init_default_scope('mmseg')
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp('export') / 'model.cmim'
    write(pack(build(dict(model=MODEL)), dict(model=MODEL)), path)
    return str(path)


def test_onnx(tool, file, tmp_path, capsys):
    pytest.importorskip('onnxruntime')
    pytest.importorskip('onnxscript')
    out = tmp_path / 'model.onnx'
    tool('export.py').main([file, '-o', str(out), '--size', '32', '32'])
    printed = capsys.readouterr().out.splitlines()[-1]
    assert float(re.search(r'at most ([\d.e+-]+) on', printed)[1]) < 0.1
    assert [p.name for p in tmp_path.iterdir()] == ['model.onnx'] and out.stat().st_size > 1e6


def test_mistakes_of_the_user(tool, file, tmp_path):
    export = tool('export.py')
    with pytest.raises(cli.ToolError, match=r'ends with \.onnx'):
        export.main([file, '-o', str(tmp_path / 'a.pb')])
    with pytest.raises(cli.ToolError, match=r'is no packed model; tools/pack\.py'):
        export.main([str(tmp_path), '-o', str(tmp_path / 'a.onnx')])
    with pytest.raises(cli.ToolError, match='--size 0 3: expected positive'):
        export.main([file, '-o', str(tmp_path / 'a.onnx'), '--size', '0', '3'])
