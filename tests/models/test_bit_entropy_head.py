"""The bound of the bits' entropy, and that training raises it."""
import math
from itertools import product

import pytest
import torch
from torch import nn

from cmim_mm.models.features import Features
from cmim_mm.models.heads.bit_entropy_head import MAXIMUM, BitEntropyHead, entropy_bound
from cmim_mm.registry import MODELS
from cmim_mm.structures import ClsDataSample


@pytest.mark.parametrize('seed', range(4))
def test_is_an_upper_bound_of_the_joint_entropy(seed):
    """Against the entropy of a distribution over all 2^4 words, enumerated."""
    generator = torch.Generator().manual_seed(seed)
    words = torch.tensor([*product((-1.0, 1.0), repeat=4)])
    counts = torch.randint(-60, 60, (16, ), generator=generator).clamp(min=0)
    p = counts[counts > 0] / counts.sum()
    entropy = -(p * p.log()).sum() / 4
    bound = entropy_bound(words.repeat_interleave(counts, 0))
    assert entropy <= bound <= MAXIMUM + 1e-6


def test_is_largest_for_fair_and_independent_bits():
    words = torch.tensor([*product((-1.0, 1.0), repeat=3)])
    assert entropy_bound(words).item() == pytest.approx(MAXIMUM, abs=1e-6)
    constant = torch.ones(8, 3)
    expected = 0.5 * math.log(2 * math.pi * math.e / 3) - math.log(2)
    assert entropy_bound(constant).item() == pytest.approx(expected, abs=1e-5)
    repeated = torch.cat([words, words], 1)
    assert entropy_bound(repeated) < MAXIMUM - 0.05


def test_loss_is_what_each_tap_lacks():
    bits = [torch.randint(0, 2, (2, c, 4, 4)) * 2.0 - 1 for c in (3, 5)]
    feats = Features([], pairs=[(None, x) for x in bits], tap_names=('a', 'b'))
    found = BitEntropyHead((0.5, 2.0), loss_weight=0.1).loss(feats, [])
    rows = [x.movedim(1, -1).reshape(32, -1) for x in bits]
    lacking = [MAXIMUM - entropy_bound(x) for x in rows]
    torch.testing.assert_close(found['loss_entropy'], 0.1 * (0.5 * lacking[0] + 2 * lacking[1]))
    torch.testing.assert_close(found['entropy.b'], entropy_bound(rows[1]))


def test_training_raises_the_entropy_of_the_taps():
    torch.manual_seed(0)
    model = MODELS.build(dict(
        type='cmim_mm.ImageClassifier', decode_head=None,
        backbone=dict(type='cmim_mm.BinaryResNet', depth=20, binarizer='IRNet', taps=(-1, )),
        auxiliary_head=dict(type='cmim_mm.BitEntropyHead')))
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.constant_(module.bias, 0.5)  # most bits begin as +1
    images, optimizer = torch.randn(16, 3, 16, 16), torch.optim.Adam(model.parameters(), 1e-2)
    entropies = []
    for _ in range(10):
        found = model(images, [ClsDataSample() for _ in images], mode='loss')
        optimizer.zero_grad()
        found['aux.loss_entropy'].backward()
        optimizer.step()
        entropies.append(found['aux.entropy.layer3.5.conv1'].item())
    assert entropies[-1] > entropies[0] + 0.05


def test_misuse_is_named():
    with pytest.raises(ValueError, match='1 tap_weights, but the backbone has 0 taps'):
        BitEntropyHead().loss((), [])
    feats = Features([], pairs=[(None, torch.zeros(2, 3, 4, 4))], tap_names=('a', ))
    with pytest.raises(ValueError, match='activations of a are not -1 and \\+1'):
        BitEntropyHead().loss(feats, [])
