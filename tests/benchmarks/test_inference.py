"""benchmarks/inference.py at a toy size, and what its contestants compute.

Without OpenVINO: after its convolutions of a toy size the process crashes sooner or later.
"""
import sys

import pytest
import torch
from torch.nn import functional as F

import benchmarks.inference as inference
from benchmarks import inference_layers, rivals
from benchmarks.rounds import best_seconds
from cmim_mm.deploy import available_kernels

TOY = rivals.Layer(8, 5, 6)


@pytest.fixture(autouse=True)
def threads(monkeypatch):
    monkeypatch.setitem(sys.modules, 'openvino', None)
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_table(monkeypatch, capsys):
    monkeypatch.setattr(inference_layers, 'LAYERS', (TOY,))
    monkeypatch.setattr('benchmarks.rounds.TURN_SECONDS', 0.)
    names = available_kernels()
    inference.main(['--parts', 'layers', '--threads', '1', '2', '--rounds', '1', '--channels', '8',
                    '--kernels', *names])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[2] for line in lines if line.startswith('limit of')] == names[1:]
    rows = [[cell.strip() for cell in line.split('|')[1:-1]] for line in lines if line.startswith('| 8@5x6')]
    first = rows[:len(rows) // 2]
    assert [row[1] for row in first[:len(names)]] == [f'{name} (ours)' for name in names]
    assert [row[1] for row in first] == [row[1] for row in rows[len(first):]]
    assert all(float(ms) > 0 for _, _, ms, *_ in first)
    assert [ratio for _, name, _, _, ratio, _ in first if name == 'torch float32'] == ['1.0']


def test_contestants_compute_the_same():
    """The packed layer gives the signs' convolution, torch and ONNX Runtime the plain one."""
    x, w, (scale, offset) = map(torch.from_numpy, TOY.arrays())
    signs = [torch.where(tensor >= 0, 1., -1.) for tensor in (x, w)]
    binary, plain = (F.conv2d(*operands, padding=1) * scale.view(-1, 1, 1) + offset.view(-1, 1, 1)
                     for operands in (signs, (x, w)))
    for kernel in available_kernels():
        torch.testing.assert_close(inference_layers.packed_layer(TOY, kernel)(), binary)
    torch.testing.assert_close(
        inference_layers.torch_layer(TOY, torch.float32, torch.channels_last)(), plain, rtol=1e-4, atol=1e-4)
    found = rivals.rival_layers(TOY, 1)
    for name, tolerance in (('float32', 1e-4), ('int8', 1.)):
        run = found[f'ONNX Runtime {name}']
        if run:
            torch.testing.assert_close(torch.from_numpy(run()[0]), plain, rtol=1e-4, atol=tolerance)


def test_rounds_take_turns(monkeypatch):
    monkeypatch.setattr('benchmarks.rounds.TURN_SECONDS', 0.)
    order = []
    best = best_seconds({'a': lambda: order.append('a'), 'b': lambda: order.append('b')}, rounds=2)
    assert order == ['a', 'b'] * 3 and min(best.values()) > 0


@pytest.mark.parametrize('argv, message', [
    (['--kernels', 'avx3'], "--kernels: 'avx3' does not run here; valid are torch"),
    (['--threads', '0'], '--threads 0: expected at least 1'),
    (['--channels', '7'], '--channels 7: expected of')])
def test_mistakes_are_named(argv, message):
    with pytest.raises(inference.ToolError, match=message):
        inference.main(argv)
