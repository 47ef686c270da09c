"""What ONNX Runtime and OpenVINO compute from exported files is what the trained model computes."""
import numpy as np
import pytest
import torch
from exact_networks import images, make_exact
from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from torch import nn

from cmim_mm.binarize import BINARIZERS, BinaryConv2d
from cmim_mm.checkpoint import CheckpointError
from cmim_mm.deploy import export, export_onnx, exporting
from cmim_mm.deploy.convert import convert, prepare
from cmim_mm.deploy.export_openvino import check_layers, just_below, run_openvino
from cmim_mm.deploy.fuse import fuse
from cmim_mm.deploy.sign_conv import SignConv2d
from cmim_mm.deploy.simulated import simulate

RUN = {'.onnx': export_onnx.run_onnx, '.xml': run_openvino}


def need(ending):
    """Skips where a runtime is not installed."""
    for package in exporting.PACKAGES[ending]:
        pytest.importorskip(package, reason=f'{package} is not installed')


class EveryMethod(BaseModule):
    """Two binary layers of each method side by side."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        for method in BINARIZERS.module_dict:
            self.add_module(method, nn.Sequential(
                BinaryConv2d(8, 16, 3, padding=1, binarizer=method), nn.BatchNorm2d(16), nn.Hardtanh(),
                BinaryConv2d(16, 5, 3, padding=2, dilation=2, stride=2, binarizer=method), nn.BatchNorm2d(5),
                nn.PReLU(5)))

    def forward(self, x):
        x = self.stem(x)
        return tuple(getattr(self, method)(x) for method in BINARIZERS.module_dict)


def make_random(network):
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 20)
            nn.init.normal_(module.weight, 1, 0.5)
            nn.init.normal_(module.bias, 0, 0.3)
    return network.eval()


@pytest.mark.parametrize('ending, make, tolerance', [('.onnx', make_exact, 0), ('.xml', make_random, 1e-5)])
def test_every_method(ending, make, tolerance, tmp_path):
    """To the last bit where all arithmetic is exact; OpenVINO moves thresholds, so ties may turn there."""
    need(ending)
    torch.manual_seed(0)
    network = make(EveryMethod())
    x = images(1, 3, 8, 8)
    with torch.no_grad():
        expected = network(x)
    packed = prepare(fuse(network))
    assert sum(isinstance(m, SignConv2d) for m in packed.modules()) == 18
    exported = export(packed, tmp_path / f'model{ending}', (8, 8))
    found = RUN[ending](tmp_path / f'model{ending}', x)
    for method, one, other in zip(BINARIZERS.module_dict, found, expected):
        np.testing.assert_allclose(one, other.numpy(), rtol=tolerance, atol=tolerance, err_msg=method)
        assert len(np.unique(one)) > 3
    assert exported.outputs == {f'map{i}': (1, 5, 4, 4) for i in range(9)}
    assert exported.size == sum(file.stat().st_size for file in tmp_path.iterdir())
    if ending == '.xml':
        import openvino
        operations = openvino.Core().read_model(tmp_path / 'model.xml').get_ops()
        kinds = [operation.get_type_name() for operation in operations]
        assert kinds.count('BinaryConvolution') == 18
        assert kinds.count('Select') == 0


REFUSED = {
    'has no groups, this one has 2': dict(in_channels=16, groups=2),
    'takes input channels by eights, this one has 12': dict(in_channels=12),
    'pads 4 columns at most, this one 6': dict(in_channels=8, padding=(1, 6), dilation=6),
}


@pytest.mark.parametrize('reason', REFUSED)
def test_what_openvino_cannot_take_is_named(reason):
    conv = dict(out_channels=8, kernel_size=3, norm_cfg=dict(type='BN'), **REFUSED[reason],
                conv_cfg=dict(type='cmim_mm.BinaryConv2d', binarizer='BNN'))
    model = simulate(convert(nn.Sequential(nn.Conv2d(3, 8, 1), ConvModule(**conv))))
    with pytest.raises(CheckpointError, match=rf'^1\.conv: .*{reason}. Export to a name that'):
        check_layers(model)


def test_maps_that_are_too_narrow_for_openvino(tmp_path):
    need('.xml')
    conv = BinaryConv2d(8, 8, 3, padding=4, dilation=4, binarizer='BNN')
    with pytest.raises(CheckpointError, match='^1: .*pads at most the columns of its map, here 4 of 3'):
        export(convert(nn.Sequential(nn.Conv2d(3, 8, 1), conv)), tmp_path / 'model.xml', (9, 3))
    assert not list(tmp_path.iterdir())


def test_numbers_just_below():
    """Where denormal numbers are 0, too: x > bound is x >= threshold."""
    tiny = np.finfo(np.float32).tiny
    threshold = np.array([0, 1, -1, tiny, -tiny, 3], np.float32)
    bound = just_below(threshold)
    for flushed in (np.array([-3, -1, -tiny, 0, tiny, 1, 3], np.float32), np.nextafter(threshold[1:3], 9)):
        x = flushed[:, None]
        assert ((x > bound) == (x >= threshold)).all()
    assert (abs(bound[bound != 0]) >= tiny).all() and bound.dtype == np.float32


def test_a_runtime_that_computes_something_else(tmp_path, monkeypatch):
    need('.onnx')
    run = exporting.run_onnx
    monkeypatch.setattr(exporting, 'run_onnx', lambda *args: [y[:, ::-1] for y in run(*args)])
    model = convert(nn.Sequential(nn.Conv2d(3, 8, 1), BinaryConv2d(8, 8, 3, binarizer='BNN')))
    with pytest.raises(CheckpointError, match='^map0: the runtime gives other values than the packed model'):
        export(model, tmp_path / 'model.onnx', (5, 5))
    assert not list(tmp_path.iterdir())


def test_a_network_that_cannot_be_traced(tmp_path):
    need('.onnx')

    class Skipping(nn.Sequential):
        def forward(self, x):
            return super().forward(x) if x.sum() > 0 else x

    with pytest.raises(CheckpointError, match='Skipping cannot be exported, .*data-dependent'):
        export(convert(Skipping(nn.Conv2d(3, 3, 1))), tmp_path / 'model.onnx', (5, 5))
    with pytest.raises(ValueError, match=r'model.pb: expected a name that ends with .onnx or .xml'):
        export(nn.Conv2d(3, 3, 1), tmp_path / 'model.pb', (5, 5))
