"""Checkpoints whose filters are bits: the same network comes back, and training goes on from it."""
import io
import json

import pytest
import torch
from torch import nn

from cmim_mm.binarize import BinaryConv2d
from cmim_mm.checkpoint import CheckpointError, load_checkpoint_file
from cmim_mm.models.backbones import BinaryResNet
from cmim_mm.publish import one_bit
from cmim_mm.registry import BINARIZERS
from cmim_mm.safetensors_file import to_bytes

#: Make other binary weights of the signs of their own: centred again, turned again, with another deviation.
REFUSED = {'XNORNet', 'RBNN', 'AdaBin'}


def network(binarizer, seed=0):
    torch.manual_seed(seed)
    return BinaryResNet(20, binarizer=binarizer).eval()


@pytest.mark.parametrize('binarizer', sorted(BINARIZERS.module_dict))
def test_the_same_network_from_bits(binarizer):
    model, images = network(binarizer), torch.randn(2, 3, 32, 32)
    magnitude = model.layer1[0].conv1.weight.abs().mean((1, 2, 3))
    with torch.no_grad():
        expected = model(images)
    if binarizer in REFUSED:
        with pytest.raises(CheckpointError, match=rf'layer1.0.conv1.weight: {binarizer} makes other weights'):
            one_bit(model, {})
        return
    data = one_bit(model, {})
    float32 = sum(4 * value.numel() for value in model.state_dict().values())
    assert len(data) < float32 / 8
    loaded = network(binarizer, seed=1)
    loaded.load_state_dict(load_checkpoint_file(io.BytesIO(data))['state_dict'])
    with torch.no_grad():
        for found, value in zip(loaded(images), expected):
            torch.testing.assert_close(found, value)
    weight = loaded.layer1[0].conv1.weight
    torch.testing.assert_close(weight.abs(), magnitude.view(-1, 1, 1, 1).expand_as(weight))
    optimizer = torch.optim.Adam(loaded.parameters(), lr=5e-3)
    signs = weight.detach().sign()
    for _ in range(20):  # a sign can still change
        optimizer.zero_grad()
        loaded.train()(images)[-1].square().mean().backward()
        optimizer.step()
    assert (weight.sign() != signs).any()


def broken(change):
    conv = BinaryConv2d(4, 2, 3, binarizer='BiReal')
    change(conv)
    return conv


def scale_that_moves(conv):
    """IR-Net rounds mean|v| of a filter to a power of 2: 0.6 of a heavy tail to 0.5, 1 of signs to 1."""
    conv.binarizer = BinaryConv2d(4, 2, 3, binarizer='IRNet').binarizer
    conv.weight.data.copy_(torch.linspace(-1, 1, 36).pow(7).view(1, 4, 3, 3))


@pytest.mark.parametrize('model, message', [
    (nn.Conv2d(4, 2, 3), 'has no binary convolution: write a .pth'),
    (broken(lambda conv: conv.weight.data.fill_(float('nan'))), '0.weight holds NaN'),
    (broken(scale_that_moves), '0.weight: IRNet makes other weights'),
    (BinaryConv2d(4, 2, 3, binarizer=dict(type='ReActNet', real_weights=True)), '0.weight: .*real_weights')])
def test_what_bits_cannot_say_is_refused_by_name(model, message):
    with pytest.raises(CheckpointError, match=message):
        one_bit(nn.Sequential(model), {})


def test_what_is_known_of_the_model_travels_along(tmp_path):
    meta = {'iter': 7, 'seed': 'left out', 'dataset_meta': {'classes': ('wall', ), 'palette': [[1, 2, 3]]}}
    (tmp_path / 'a').write_bytes(one_bit(network('ReActNet'), meta))
    loaded = load_checkpoint_file(tmp_path / 'a', map_location='meta')
    assert loaded['meta'] == {'iter': 7, 'dataset_meta': meta['dataset_meta']}
    assert {value.device.type for value in loaded['state_dict'].values()} == {'meta'}


@pytest.mark.parametrize('change, message', [
    (lambda tensors, shapes: tensors.pop('a.scale'), r'a needs a.scale'),
    (lambda tensors, shapes: tensors.update({'a.scale': torch.ones(3)}), '2 finite numbers'),
    (lambda tensors, shapes: tensors.update({'a.scale': torch.ones(2).long()}), 'in float32'),
    (lambda tensors, shapes: tensors.update({'a.scale': torch.tensor([1, torch.nan])}), '2 finite numbers'),
    (lambda tensors, shapes: tensors.update(a=torch.zeros(8).byte()), 'there are no 5 bytes called a'),
    (lambda tensors, shapes: shapes.update(a=[2, 3, 18]), r'bit_weights: a has .* expected \[O, kh, kw, I\]'),
    (lambda tensors, shapes: shapes.update(b=[2, 3, 3, 2]), 'called b')])
def test_a_file_that_contradicts_itself_is_refused_by_name(change, message, tmp_path):
    tensors = {'a': torch.zeros(5, dtype=torch.uint8), 'a.scale': torch.ones(2)}
    shapes = {'a': [2, 3, 3, 2]}
    change(tensors, shapes)
    (tmp_path / 'x.safetensors').write_bytes(to_bytes(tensors, {'bit_weights': json.dumps(shapes)}))
    with pytest.raises(CheckpointError, match=message) as error:
        load_checkpoint_file(tmp_path / 'x.safetensors')
    assert 'x.safetensors' in str(error.value)
