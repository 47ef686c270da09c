"""RBNN's rotation."""
import copy

import pytest
import torch

from cmim_mm.binarize import BinaryConv2d, start_epoch
from cmim_mm.binarize.functions import sign
from cmim_mm.binarize.rbnn import near_square
from cmim_mm.binarize.standardize import standardize


@pytest.mark.parametrize('pair', [(12, 12), (4, 8), (3, 3), (1, 7), (1, 1)])
def test_near_square(pair):
    assert near_square(pair[0] * pair[1]) == pair


@pytest.mark.parametrize('shape', [(8, 6, 3), (5, 7, 1)])
def test_orthogonal_after_100_updates(shape):
    conv = BinaryConv2d(*shape, binarizer='RBNN')
    for _ in range(100):
        conv.weight.data += 0.01 * torch.randn_like(conv.weight)
        start_epoch(conv)
    for rotation in (conv.binarizer.R1, conv.binarizer.R2):
        torch.testing.assert_close(rotation.t() @ rotation, torch.eye(len(rotation)), atol=1e-5, rtol=0)


def test_updates_bring_the_rotated_weights_nearer_to_their_signs():
    conv = BinaryConv2d(8, 16, 3, binarizer='RBNN')
    v = standardize(conv.weight.detach())

    def distance():
        rotated = conv.binarizer.rotated(v)
        return (sign(rotated) - rotated).square().sum().item()

    distances = [distance()]
    for _ in range(4):
        start_epoch(conv)
        distances.append(distance())
    assert all(later <= earlier * (1 + 1e-6) for earlier, later in zip(distances, distances[1:]))
    assert distances[-1] < 0.9 * distances[0]


def test_autocast_changes_neither_the_rotated_signs_nor_the_update():
    conv = BinaryConv2d(16, 32, 3, binarizer='RBNN')
    clone = copy.deepcopy(conv)
    start_epoch(conv)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        start_epoch(clone)
        assert torch.equal(clone.binary_weight(), conv.binary_weight())
    assert torch.equal(clone.binarizer.R1, conv.binarizer.R1)
    assert torch.equal(clone.binary_weight(), conv.binary_weight())


def test_the_weights_get_a_gradient_from_the_start():
    conv = BinaryConv2d(4, 6, 3, binarizer='RBNN')
    conv(torch.randn(2, 4, 6, 6)).square().sum().backward()
    assert (conv.weight.grad.flatten(1).norm(dim=1) > 0).all()
    assert (conv.binarizer.rotate.grad != 0).all()
