import pytest
import torch
from torch import nn

from cmim_mm.binarize import BinaryConv2d, set_progress, start_epoch


def make_net() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.Sequential(BinaryConv2d(4, 4, 3, binarizer='RBNN')),
        BinaryConv2d(4, 4, 3, binarizer='IRNet'))


def progress_of(net: nn.Module) -> list:
    return [value.item() for key, value in net.state_dict().items() if key.endswith('progress')]


def test_reaches_every_layer_through_wrappers():
    net = make_net()
    set_progress(nn.DataParallel(net), 0.25)
    assert progress_of(net) == [0.25, 0.25]
    set_progress(net[2], 1)
    assert progress_of(net) == [0.25, 1.0]
    set_progress(net[2].binarizer, 0)
    assert progress_of(net) == [0.25, 0.0]


def test_progress_stays_the_same_tensor():
    net = make_net()
    before = net[2].binarizer.progress
    set_progress(net, 0.5)
    assert net[2].binarizer.progress is before


@pytest.mark.parametrize('progress', [-0.01, 1.01, float('nan'), 50])
def test_progress_outside_training_is_refused(progress):
    net = make_net()
    with pytest.raises(ValueError, match='between 0 and 1'):
        set_progress(net, progress)
    assert progress_of(net) == [0.0, 0.0]


def test_start_epoch_skips_frozen_layers():
    net = make_net()
    rotation = net[1][0].binarizer.R1
    before = rotation.clone()
    net[1].eval()
    start_epoch(net)
    assert torch.equal(rotation, before)
    net[1].train()
    start_epoch(nn.DataParallel(net))
    assert not torch.equal(rotation, before)


def test_a_model_without_binary_layers_is_left_alone():
    net = nn.Conv2d(3, 4, 3)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    set_progress(net, 0.5)
    start_epoch(net)
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
