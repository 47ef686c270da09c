"""tools/export.py: what ONNX Runtime gives for an image is what the trained model predicts of it."""
import sys

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.structures import SegDataSample

from cmim_mm.engine import cli
from cmim_mm.registry import MODELS

HEADS = {
    'logits': ('EncoderDecoder', dict(
        type='cmim_mm.FCNHead', num_convs=1, in_index=1, in_channels=256, channels=16, num_classes=5,
        concat_input=False, conv_cfg=dict(type='cmim_mm.BinaryConv2d', binarizer='DoReFa'),
        act_cfg=dict(type='PReLU'))),
    'depth': ('DepthEstimator', dict(type='cmim_mm.DepthHead', in_channels=[128, 256], channels=8)),
}


@pytest.fixture(scope='module', params=HEADS)
def files(request, tool, tmp_path_factory):
    """(name of the output, trained model, [config, checkpoint], packed file)."""
    init_default_scope('mmseg')
    kind, head = HEADS[request.param]
    folder = tmp_path_factory.mktemp('export')
    cfg = Config(dict(default_scope='mmseg', model=dict(
        type=f'cmim_mm.{kind}', test_cfg=dict(mode='whole'),
        data_preprocessor=dict(type='cmim_mm.DenseDataPreProcessor', mean=[120, 110, 100], std=[60, 55, 50],
                               bgr_to_rgb=True, input_scale=0.5 if kind == 'DepthEstimator' else 1.0),
        backbone=dict(type='cmim_mm.BinaryVGG', binarizer='BNN', out_indices=(0, 1)),
        decode_head=dict(head, norm_cfg=dict(type='BN'), align_corners=False))))
    torch.manual_seed(0)
    model = MODELS.build(cfg.model).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 20)
    paths = [str(folder / name) for name in ('config.py', 'trained.pth', 'packed.cmim')]
    cfg.dump(paths[0])
    meta = dict(dataset_meta=dict(classes=('a', 'b')))
    torch.save(dict(state_dict=model.state_dict(), meta=meta), paths[1])
    tool('pack.py').main([*paths[:2], '-o', paths[2]])
    return request.param, model, paths[:2], paths[2]


@torch.no_grad()
def predicted(model, image, name):
    """What the trained model predicts of a BGR image."""
    sample = SegDataSample(metainfo=dict.fromkeys(('ori_shape', 'img_shape', 'pad_shape'), image.shape[:2]))
    inputs = torch.from_numpy(image).permute(2, 0, 1)
    result, = model.test_step(dict(inputs=[inputs], data_samples=[sample]))
    return result.get('seg_logits' if name == 'logits' else 'pred_depth_map').data.numpy()


def test_onnx_runtime_predicts_what_the_trained_model_does(tool, files, rooms_root, tmp_path, capsys):
    onnxruntime = pytest.importorskip('onnxruntime', reason='onnxruntime is not installed')
    pytest.importorskip('onnxscript', reason='onnxscript is not installed')
    name, model, trained, packed = files
    out = tmp_path / 'model.onnx'
    tool('export.py').main([packed, '-o', str(out), '--size', '32', '48'])
    printed = capsys.readouterr().out
    shape = f'1 x {5 if name == "logits" else 1} x 32 x 48'
    assert f'{out.stat().st_size:,}' in printed and f'| {shape}' in printed
    images = [cv2.resize(cv2.imread(str(rooms_root / f'image/000{i}.png')), (48, 32)) for i in (1, 2)]
    session = onnxruntime.InferenceSession(out)
    rgb = np.stack(images)[..., ::-1].transpose(0, 3, 1, 2).astype(np.float32)
    found, = session.run([name], dict(image=rgb))
    for one, image in zip(found, images):
        expected = predicted(model, image, name)
        assert one.shape == expected.shape and expected.std() > 1e-3
        assert np.isclose(one, expected, rtol=1e-3, atol=1e-4).mean() > 0.99  # a sign may turn
    assert session.get_modelmeta().custom_metadata_map['dataset_meta'] == '{"classes": ["a", "b"]}'
    assert str(tmp_path) not in out.read_bytes().decode('latin-1')


def test_openvino_predicts_what_the_trained_model_does(tool, files, rooms_root, tmp_path):
    openvino = pytest.importorskip('openvino', reason='openvino is not installed')
    pytest.importorskip('onnxscript', reason='onnxscript is not installed')
    name, model, trained, packed = files
    tool('export.py').main([*trained, '-o', str(tmp_path / 'model.xml'), '--size', '32', '48'])
    image = cv2.resize(cv2.imread(str(rooms_root / 'image/0001.png')), (48, 32))
    network = openvino.compile_model(tmp_path / 'model.xml', 'CPU', {'INFERENCE_PRECISION_HINT': 'f32'})
    found = network([image[None, ..., ::-1].transpose(0, 3, 1, 2).astype(np.float32)])[name][0]
    assert np.isclose(found, predicted(model, image, name), rtol=1e-3, atol=1e-4).mean() > 0.99
    assert {file.name for file in tmp_path.iterdir()} == {'model.xml', 'model.bin'}


def test_a_classifier(tool, tmp_path):
    onnxruntime = pytest.importorskip('onnxruntime', reason='onnxruntime is not installed')
    pytest.importorskip('onnxscript', reason='onnxscript is not installed')
    init_default_scope('mmseg')
    cfg = Config(dict(default_scope='mmseg', model=dict(
        type='cmim_mm.ImageClassifier',
        backbone=dict(type='cmim_mm.BinaryVGG', binarizer='IRNet', out_indices=(1, )),
        decode_head=dict(type='cmim_mm.ClsHead', num_classes=7, in_channels=256),
        data_preprocessor=dict(type='cmim_mm.ClsDataPreProcessor', mean=[120] * 3, std=[60] * 3))))
    torch.manual_seed(0)
    model = MODELS.build(cfg.model).eval()
    cfg.dump(tmp_path / 'config.py')
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'trained.pth')
    tool('export.py').main([str(tmp_path / 'config.py'), str(tmp_path / 'trained.pth'),
                            '-o', str(tmp_path / 'model.onnx'), '--size', '32', '32'])
    images = 255 * torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    found, = onnxruntime.InferenceSession(tmp_path / 'model.onnx').run(['logits'], dict(image=images.numpy()))
    with torch.no_grad():
        expected = model((images - 120) / 60).numpy()
    assert found.shape == (3, 7) and expected.std(0).max() > 1e-3
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_mistakes_of_the_user(tool, files, tmp_path, monkeypatch, capsys):
    _, _, trained, packed = files
    export, out = tool('export.py'), ['-o', str(tmp_path / 'model.onnx')]
    for arguments, message in (
            ([packed, '-o', 'model.pb'], r'model.pb: expected a name that ends with \.onnx or \.xml'),
            ([packed, *out, '--size', '0', '4'], '--size 0 4: expected two positive numbers'),
            ([trained[0], 'missing.pth', *out], 'missing.pth: there is no such checkpoint')):
        with pytest.raises(cli.ToolError, match=message):
            export.main(arguments)
    for arguments, message in (([trained[0], *out], 'required: checkpoint'),
                               ([packed, trained[1], *out], 'brings its weights')):
        with pytest.raises(SystemExit):
            export.main(arguments)
        assert message in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, 'onnxscript', None)
    with pytest.raises(cli.ToolError, match=r"not installed.*onnxscript.*pip install 'cmim_mm\[onnx\]'"):
        export.main([packed, *out, '--size', '32', '32'])
    assert not list(tmp_path.iterdir())
