"""Taps of the backbones and the record that they leave."""
import copy
import pickle

import pytest
import torch

from cmim_mm.binarize import BINARIZERS, BinaryConv2d
from cmim_mm.models import BinaryMobileNet, BinaryResNet, BinaryVGG
from cmim_mm.models.features import Features, record_pairs

NETWORKS = [(BinaryResNet, dict(depth=20), 'DoReFa'), (BinaryVGG, {}, 'AdaBin'),
            (BinaryMobileNet, {}, 'ReActNet')]


@pytest.mark.parametrize('network, arguments, binarizer', NETWORKS)
def test_pairs_are_what_the_convolution_saw(network, arguments, binarizer):
    torch.manual_seed(0)
    model = network(binarizer=binarizer, taps=(-1, 0), **arguments)
    seen = {}
    names = {m: n for n, m in model.named_modules()}
    for conv in (m for m in model.modules() if isinstance(m, BinaryConv2d)):
        conv.register_forward_pre_hook(lambda conv, x: seen.update({names[conv]: x[0]}))
    x = torch.randn(2, 3, 32, 32)
    features = model(x)
    assert isinstance(features, tuple) and isinstance(features, Features) and features.inputs is x
    assert features.tap_names[0].startswith(f'layer{model.num_stages}.')
    assert features.tap_names[1].startswith('layer1.')
    for name, (latent, binary) in zip(features.tap_names, features.pairs):
        assert latent is seen[name] and binary.unique().numel() == 2 and binary.requires_grad
        assert torch.equal(binary, model.get_submodule(name).binary_input(latent))
    assert all(m.last_pair is None for m in model.modules() if isinstance(m, BinaryConv2d))
    copy.deepcopy(model)
    model.eval()
    assert type(model(x)) is tuple


def test_taps_change_neither_output_nor_keys():
    outputs, keys = [], []
    for taps in ((), ('layer2.1.conv1', -1)):
        torch.manual_seed(0)
        model = BinaryResNet(20, taps=taps)
        outputs.append(model(torch.ones(2, 3, 16, 16).tril()))
        keys.append(list(model.state_dict()))
    assert type(outputs[0]) is tuple and outputs[1].tap_names == ('layer2.1.conv1', 'layer3.5.conv1')
    assert all(torch.equal(a, b) for a, b in zip(*outputs)) and keys[0] == keys[1]


@pytest.mark.parametrize('arguments, message', [
    (dict(taps=(3, )), 'taps has 3; valid are the stages -3 to 2'),
    (dict(taps=('conv1', )), "'conv1', which is no binary convolution; valid are layer1.0.conv1"),
    (dict(taps=(2, -1)), r'taps=\(2, -1\) names layer3.5.conv1 twice'),
    (dict(taps=(0, ), frozen_stages=1), 'layer1.5.conv1, which lies in a frozen stage'),
    (dict(taps=(-1, ), binarizer=None), 'full-precision twin'),
])
def test_bad_taps_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        BinaryResNet(20, **arguments)


def test_features_are_a_tuple_everywhere():
    features = Features([torch.ones(1), torch.zeros(1)], tap_names=('a', ))
    assert len(features) == 2 and features[-1] is list(features)[1] and features.embeddings == ()
    again = pickle.loads(pickle.dumps(features))
    assert isinstance(again, Features) and again.tap_names == ('a', )


@pytest.mark.parametrize('binarizer', sorted(BINARIZERS.module_dict))
def test_pairs_are_recorded_in_eval_mode_too(binarizer):
    model = BinaryResNet(20, binarizer=binarizer).eval()
    last = [[f'{stage}.{name}' for name, m in getattr(model, stage).named_modules()
             if isinstance(m, BinaryConv2d)][-1] for stage in ('layer1', 'layer2', 'layer3')]
    with record_pairs(model, (0, 'layer2.0.conv1')) as record:
        for size in (16, 8):
            model(torch.randn(1, 3, size, size))
            shapes = [latent.shape for latent, _ in record.pairs]
            assert shapes == [(1, 16, size, size)] * 2  # the first block of layer2 reads layer1's map
    assert record.names == (last[0], 'layer2.0.conv1')
    assert all(b.unique().numel() == 2 and not b.requires_grad for _, b in record.pairs)
    assert not any(m._forward_pre_hooks for m in model.modules())
    with record_pairs(model) as record:
        assert record.names == tuple(last)
