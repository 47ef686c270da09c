"""Checkpoints whose filters are bits: the same network comes back, and training goes on from it."""
import io
import json

import pytest
import torch

from cmim_mm.bit_weights import encode_bit_weights, expand_bit_weights
from cmim_mm.checkpoint import CheckpointError, load_checkpoint_file
from cmim_mm.models.backbones import BinaryResNet
from cmim_mm.publish import one_bit
from cmim_mm.registry import BINARIZERS
from cmim_mm.safetensors_file import parse, to_bytes

#: Binarize their own binary weights to other ones: centred again, turned again, with another deviation.
REFUSED = {'XNORNet', 'RBNN', 'AdaBin'}


def network(binarizer, seed=0):
    torch.manual_seed(seed)
    return BinaryResNet(20, binarizer=binarizer).eval()


@pytest.mark.parametrize('binarizer', sorted(BINARIZERS.module_dict))
def test_the_same_network_from_bits(binarizer):
    model, images = network(binarizer), torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        expected = model(images)
    if binarizer in REFUSED:
        with pytest.raises(CheckpointError, match=rf'layer1.0.conv1: {binarizer} makes other weights'):
            one_bit(model)
        return
    data = one_bit(model)
    float32 = sum(4 * value.numel() for value in model.state_dict().values())
    assert len(data) < float32 / 8
    loaded = network(binarizer, seed=1)
    state = load_checkpoint_file(io.BytesIO(data))['state_dict']
    assert {key.rpartition('.')[2] for key in loaded.load_state_dict(state, strict=False).missing_keys} <= {
        'num_batches_tracked'}
    with torch.no_grad():
        for found, value in zip(loaded(images), expected):
            torch.testing.assert_close(found, value)
    loaded.train()(images)[-1].square().mean().backward()
    assert loaded.layer1[0].conv1.weight.grad.abs().sum() > 0


def test_scale_and_offset_stand_beside_the_bits():
    model = network('ReActNet')
    form = model.layer1[0].conv1.weight_form()._replace(offset=torch.arange(16.0).view(-1, 1, 1, 1))
    data = encode_bit_weights({'other': torch.ones(2), 'a.weight': torch.zeros(1)}, {'a.weight': form})
    state = expand_bit_weights(*parse(data))
    assert state.keys() == {'other', 'a.weight'}
    torch.testing.assert_close(state['a.weight'], form.value())


@pytest.mark.parametrize('change, message', [
    (lambda tensors, shapes: tensors.pop('a.scale'), r'a needs a.scale'),
    (lambda tensors, shapes: tensors.update({'a.offset': torch.ones(3)}), r'of shape \(2,\)'),
    (lambda tensors, shapes: tensors.update(a=torch.zeros(8).byte()), 'there are no 5 bytes called a'),
    (lambda tensors, shapes: shapes.update(a=[2, 3, 18]), r'expected \[O, kh, kw, I\]'),
    (lambda tensors, shapes: shapes.update(b=[2, 3, 3, 2]), 'called b')])
def test_a_file_that_contradicts_itself_is_refused_by_name(change, message, tmp_path):
    tensors = {'a': torch.zeros(5, dtype=torch.uint8), 'a.scale': torch.ones(2)}
    shapes = {'a': [2, 3, 3, 2]}
    change(tensors, shapes)
    (tmp_path / 'x.safetensors').write_bytes(to_bytes(tensors, {'bit_weights': json.dumps(shapes)}))
    with pytest.raises(CheckpointError, match=message) as error:
        load_checkpoint_file(tmp_path / 'x.safetensors')
    assert 'x.safetensors' in str(error.value)
