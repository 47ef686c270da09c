"""benchmarks/train_step.py at a tiny size, and the equations that it compares to."""
import importlib

import pytest
import torch
from torch import nn

from cmim_mm.binarize import BINARIZERS, BinaryConv2d, set_progress
from cmim_mm.engine.cli import ToolError


@pytest.fixture
def load(repository, monkeypatch):
    monkeypatch.syspath_prepend(str(repository))
    return lambda name: importlib.import_module(f'benchmarks.{name}')


@pytest.mark.parametrize('name', sorted(BINARIZERS.module_dict))
def test_the_equations_are_those_of_the_package(load, name):
    conv = BinaryConv2d(4, 6, 3, stride=2, padding=1, bias=True, binarizer=name).double()
    for parameter in conv.binarizer.parameters():
        parameter.data += 0.1
    set_progress(conv, 0.5)
    x = torch.randn(2, 4, 6, 6, generator=torch.Generator().manual_seed(0)).double().requires_grad_()
    wanted = [x, *conv.parameters()]
    expected = conv(x)
    found = load('eager_methods').to_eager(nn.Sequential(conv))(x)
    torch.testing.assert_close(found, expected)
    for first, second in zip(*(torch.autograd.grad(y.square().sum(), wanted) for y in (found, expected))):
        torch.testing.assert_close(first, second)


def test_a_row_for_each_method(load, capsys):
    threads = torch.get_num_threads()
    load('train_step').main(['--methods', 'AdaBin', '--batch-size', '2', '--image-size', '32',
                             '--repeats', '1', '--device', 'cpu', '--threads', str(threads)])
    lines = capsys.readouterr().out.splitlines()
    rows = [[cell.strip() for cell in line.split('|')[1:-1]] for line in lines if line.startswith('|')]
    assert [row[0] for row in rows] == ['method', rows[1][0], 'AdaBin']
    time, eager_time, memory, eager_memory = (float(rows[2][i]) for i in (2, 3, 5, 6))
    assert time > 0 and eager_time > 0 and 0.9 < memory < eager_memory
    assert torch.__version__ in lines[-1] and '2 images of 32x32' in lines[-1]


def test_live_tensors_counts_what_is_alive(load):
    kept = torch.zeros(100)
    with load('train_step').LiveTensors([kept]) as tensors:
        view = kept[:50]
        other = kept + 1
        assert tensors.live == 800 and len(view) == 50
        del other
        view + 1
    assert tensors.live == 400 and tensors.peak == 800


@pytest.mark.parametrize('arguments', [['--methods', 'nope'], ['--repeats', '0']])
def test_mistakes_are_named(load, arguments):
    with pytest.raises(ToolError, match='BiReal|repeats'):
        load('train_step').main(arguments)
