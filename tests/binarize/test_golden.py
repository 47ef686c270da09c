"""Every method's forward and gradients against those of its public reference implementation."""
from pathlib import Path

import numpy as np
import pytest
import torch

from cmim_mm.binarize import BinaryConv2d, set_progress, start_epoch

GOLDEN = Path(__file__).parents[1] / 'data' / 'golden'
METHODS = {
    'irnet': 'IRNet', 'rbnn_fixed_rotation': 'RBNN', 'rbnn_rotation_update': 'RBNN', 'recu': 'ReCU',
    'adabin': 'AdaBin', 'reactnet': 'ReActNet',
}
RENAMED = {'pre_move.bias': 'shift', 'binary_a.alpha_a': 'alpha_a', 'binary_a.beta_a': 'beta_a'}
CASES = sorted(path.stem for path in GOLDEN.glob('*_conv*.npz'))


def assert_close(actual: torch.Tensor, expected: torch.Tensor, tolerance: float, what: str) -> None:
    assert actual.shape == expected.shape, what
    error = (actual - expected).abs().max() / expected.abs().max().clamp_min(1e-30)
    assert error <= tolerance, f'{what}: relative error {error:.2e}, tolerance {tolerance:.0e}'


def load(case: str) -> dict:
    with np.load(GOLDEN / f'{case}.npz') as arrays:
        return {key: torch.from_numpy(arrays[key]) for key in arrays.files}


def own_arrays(data: dict, prefix: str) -> dict:
    names = {key[len(prefix):]: value for key, value in data.items() if key.startswith(prefix)}
    return {RENAMED.get(name, name): value for name, value in names.items()}


def build(case: str, data: dict) -> BinaryConv2d:
    out_channels, in_channels, kernel, _ = data['weight'].shape
    conv = BinaryConv2d(in_channels, out_channels, kernel, int(data['stride']), int(data['padding']),
                        binarizer=METHODS[case.split('_conv')[0]])
    with torch.no_grad():
        conv.weight.copy_(data['weight'])
        for name, value in own_arrays(data, 'param_').items():
            getattr(conv.binarizer, name).copy_(value)
        for name in ('R1', 'R2'):
            if f'buffer_{name}' in data:
                getattr(conv.binarizer, name).copy_(data.get(f'{name}_before', data[f'buffer_{name}']))
    set_progress(conv, float(data['progress']))
    return conv


def test_the_cases_are_there():
    assert len(CASES) == 54
    assert {case.split('_conv')[0] for case in CASES} == set(METHODS)


@pytest.mark.parametrize('case', CASES)
def test_forward_and_gradients(case):
    data = load(case)
    conv = build(case, data)
    tolerance = 1e-4 if 'update' in case else 1e-5
    if 'update' in case:
        start_epoch(conv)
    x = data['activation'].requires_grad_()
    y = conv(x)
    y.backward(data['grad_output'])
    assert_close(y, data['output'], tolerance, 'output')
    assert_close(x.grad, data['grad_activation'], tolerance, 'grad_activation')
    assert_close(conv.weight.grad, data['grad_weight'], tolerance, 'grad_weight')
    own = own_arrays(data, 'grad_')
    for name, parameter in conv.binarizer.named_parameters():
        assert_close(parameter.grad, own[name], tolerance, f'grad of {name}')


@pytest.mark.parametrize('case', [case for case in CASES if 'update' in case])
def test_rbnn_rotation_update(case):
    data = load(case)
    rbnn = build(case, data).binarizer
    before = rbnn.rotated(data['weight'])
    rbnn.start_epoch(data['weight'])
    after = rbnn.rotated(data['weight'])
    # The signs of an SVD's vectors are free, so the product is compared and not R1, R2.
    expected = data['weight'].reshape(len(before), len(rbnn.R1), len(rbnn.R2))
    expected = (data['buffer_R1'].t() @ expected @ data['buffer_R2']).reshape(before.shape)
    assert_close(after, expected, 1e-4, 'rotated weight')
    assert (after - before).abs().max() > 0.01 * before.abs().max()


@pytest.mark.parametrize('case', [case for case in CASES if case.startswith('recu')])
def test_recu_tau(case):
    data = load(case)
    assert_close(build(case, data).binarizer.tau(), data['tau'], 1e-5, 'tau')
