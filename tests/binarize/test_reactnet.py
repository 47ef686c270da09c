"""ReActNet's first step: binary activations, real weights."""
import pytest
import torch
import torch.nn.functional as F

from cmim_mm.analysis import model_cost
from cmim_mm.binarize import BinaryConv2d

REAL = dict(type='ReActNet', real_weights=True)


def test_real_weights_are_the_latent_ones_behind_binary_inputs():
    torch.manual_seed(0)
    conv, x = BinaryConv2d(4, 6, 3, padding=1, binarizer=REAL), torch.randn(2, 4, 5, 5)
    conv.binarizer.shift.data.normal_()
    y, binary = conv(x), conv.binary_input(x)
    assert set(binary.unique().tolist()) == {-1.0, 1.0}
    torch.testing.assert_close(y, F.conv2d(binary, conv.weight, padding=1))
    y.sum().backward()
    latent = conv.weight.detach().requires_grad_()
    F.conv2d(binary.detach(), latent, padding=1).sum().backward()
    torch.testing.assert_close(conv.weight.grad, latent.grad)
    assert conv.binarizer.shift.grad.abs().sum() > 0


def test_real_weights_share_the_keys_and_have_no_packable_form():
    real, binary = BinaryConv2d(4, 6, 3, binarizer=REAL), BinaryConv2d(4, 6, 3, binarizer='ReActNet')
    binary.load_state_dict(real.state_dict())
    assert binary.weight_form().sign.abs().eq(1).all()
    with pytest.raises(ValueError, match=r'ReActNet\(real_weights=True\): the weight is not 1-bit'):
        real.weight_form()


def test_real_weights_cost_full_precision():
    real = model_cost(BinaryConv2d(4, 6, 3, binarizer=REAL), (4, 8, 8))
    binary = model_cost(BinaryConv2d(4, 6, 3, binarizer='ReActNet'), (4, 8, 8))
    macs, weights, shifts = 6 * 6 * 6 * 4 * 9, 6 * 4 * 9, 4
    assert (real.total['flops'], real.total['bops'], real.total['ops']) == (macs, 0, macs)
    assert real.total['bytes'] == 4 * (weights + shifts)
    assert (binary.total['flops'], binary.total['bops']) == (0, macs)
    assert binary.total['bytes'] == weights / 8 + 4 * shifts
