"""Resizing joined with what follows it: torch's results by every kernel, errors, and torch.export's way."""
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from cmim_mm.deploy import operators, ops
from cmim_mm.deploy.bilinear import BilinearSum, bilinear
from cmim_mm.deploy.convert import convert
from cmim_mm.models.heads.resized_sum import ResizedSum
from cmim_mm.models.heads.seg_heads import SegformerHead

#: Every test here runs with each kernel of this machine.
pytestmark = pytest.mark.usefixtures('kernel')
BOTH = pytest.mark.parametrize('align_corners', [False, True])
NAN, INF = float('nan'), float('inf')


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def resized(x, size, align_corners):
    return F.interpolate(x, size, mode='bilinear', align_corners=align_corners)


def are_largest(labels, values):
    """Each label's value is the largest to rounding; the label is torch's where no other class is close."""
    best = values.amax(1)
    taken = values.gather(1, labels.unsqueeze(1)).squeeze(1)
    torch.testing.assert_close(taken, best, rtol=1e-6, atol=1e-6)
    second = values.topk(2, 1).values[:, 1] if values.shape[1] > 1 else best - 1
    clear = best - second > 1e-4
    assert clear.float().mean() > 0.9 and torch.equal(labels[clear], values.argmax(1)[clear])


@BOTH
@pytest.mark.parametrize('classes', [1, 2, 7, 8, 15, 16, 17, 40, 63, 64, 65, 130])
@pytest.mark.parametrize('sizes', [((3, 5), (11, 18)), ((9, 7), (4, 3)), ((1, 1), (2, 3)), ((4, 6), (4, 6)),
                                   ((5, 1), (1, 7))])
def test_labels(classes, sizes, align_corners):
    size, out = sizes
    x = random(2, classes, *size)
    for logits in (x, x.contiguous(memory_format=torch.channels_last), x.bfloat16()):
        labels = ops.bilinear_labels(logits, out, align_corners)
        assert labels.dtype == torch.int64 and labels.shape == (2, *out) and labels.is_contiguous()
        are_largest(labels, resized(logits.float(), out, align_corners))


@pytest.mark.parametrize('classes', [3, 20, 70])
def test_of_equal_classes_the_lowest(classes):
    x = torch.zeros(1, classes, 2, 3)
    x[:, 1:, :, 2] = 1  # from the third column on all but the first are equal
    labels = ops.bilinear_labels(x, (4, 6))
    assert torch.equal(labels, torch.tensor([0, 0, 0, 1, 1, 1]).expand(1, 4, 6))
    x[:, -1] = x[:, classes // 2] = 2
    assert (ops.bilinear_labels(x, (4, 6)) == classes // 2).all()


@pytest.mark.parametrize('values', [
    {1: NAN}, {19: NAN, 4: NAN}, {3: INF, 1: -INF}, {2: INF, 5: NAN}, {0: -INF},
    dict.fromkeys(range(20), -INF), dict.fromkeys(range(20), NAN)])
def test_infinities_and_nan_are_torchs(values):
    x = random(1, 20, 5, 6)
    for label, value in values.items():
        x[0, label, 2, 3] = value
    for size in ((9, 14), (5, 6)):
        expected = F.interpolate(x, size, mode='bilinear').argmax(1)
        assert torch.equal(ops.bilinear_labels(x, size), expected)


@BOTH
@pytest.mark.parametrize('channels', [1, 7, 8, 9, 16, 17, 40])
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_sum(channels, dtype, align_corners):
    sizes = (6, 7), (3, 4), (1, 1), (9, 13), (6, 2), (3, 7)
    maps = [random(2, channels, *size, seed=i).to(dtype) for i, size in enumerate(sizes)]
    maps[1] = maps[1].contiguous(memory_format=torch.channels_last)
    bias = random(channels, seed=9)
    close = dict(rtol=1e-5, atol=1e-5) if dtype == torch.float32 else dict(rtol=1e-2, atol=1e-2)
    for size, given in ((None, maps), ((4, 9), maps), (None, maps[:1]), ((5, 5), maps[3:4])):
        out = (6, 7) if size is None else size
        total = sum(resized(x.float(), out, align_corners) for x in given)
        found = ops.bilinear_sum(given, size, align_corners=align_corners)
        assert found.dtype == dtype and found.is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(found.float(), total, **close)
        expected = (total + bias.view(-1, 1, 1)).relu()
        found = ops.bilinear_sum(given, size, bias, True, align_corners)
        torch.testing.assert_close(found.float(), expected, **close)
    half = bias.bfloat16()
    found, expected = (ops.bilinear_sum(maps, bias=each, align_corners=align_corners)
                       for each in (half, half.float()))
    torch.testing.assert_close(found, expected)


def test_the_relu_keeps_nan():
    x = torch.tensor([NAN, -1, INF, -INF]).view(1, 4, 1, 1).repeat(1, 5, 1, 1)
    found = ops.bilinear_sum([x], relu=True)
    assert torch.equal(found.isnan(), x.isnan()) and torch.equal(found.nan_to_num(7), x.relu().nan_to_num(7))


def test_threads_share_rows():
    """Enough work for more than one thread, images' and threads' borders at different rows."""
    x, before = random(3, 40, 31, 33).contiguous(memory_format=torch.channels_last), torch.get_num_threads()
    values = resized(x, (67, 90), False)
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            are_largest(ops.bilinear_labels(x, (67, 90)), values)
            torch.testing.assert_close(ops.bilinear_sum([x], (67, 90)), values)
    finally:
        torch.set_num_threads(before)


def test_no_images():
    assert ops.bilinear_labels(torch.zeros(0, 3, 2, 2), (4, 4)).shape == (0, 4, 4)
    assert ops.bilinear_sum([torch.zeros(0, 3, 2, 2)]).shape == (0, 3, 2, 2)


def labels(*shape, dtype=torch.float32, size=(2, 2)):
    return ops.bilinear_labels(torch.zeros(shape, dtype=dtype), size)


def add(*maps, **options):
    return ops.bilinear_sum([torch.zeros(shape) for shape in maps], **options)


@pytest.mark.parametrize('call, message', [
    (lambda: labels(1, 2, 3), 'logits: expected the shape'),
    (lambda: labels(1, 2, 3, 4, dtype=torch.float64), 'logits: expected torch.float32 or torch.bfloat16'),
    (lambda: labels(1, 0, 3, 4), r'logits: expected at least one channel and one pixel, got.*\(1, 0, 3, 4\)'),
    (lambda: labels(1, 2, 0, 4), 'logits: expected at least one channel and one pixel'),
    (lambda: labels(1, 2, 3, 4, size=(0, 2)), r'size=\[0, 2\]: expected two numbers, at least 1'),
    (lambda: add(), 'maps: expected at least one map, got none'),
    (lambda: add((1, 2, 3)), r'maps\[0\]: expected the shape'),
    (lambda: add((1, 2, 3, 3), (1, 3, 3, 3)), r"maps\[1\]: expected the shape \(1, 2, 'any', 'any'\)"),
    (lambda: add((2, 2, 3, 3), (1, 2, 3, 3)), r'maps\[1\]: expected the shape'),
    (lambda: add((1, 2, 3, 3), (1, 2, 3, 0)), r'maps\[1\]: expected at least one channel and one pixel'),
    (lambda: ops.bilinear_sum([torch.zeros(1, 1, 1, 1), torch.zeros(1, 1, 1, 1).bfloat16()]),
     r'maps\[1\]: expected torch.float32, got torch.bfloat16'),
    (lambda: ops.bilinear_sum([torch.zeros(1, 1, 1, 1).int()]), r'maps\[0\]: expected torch.float32 or'),
    (lambda: add((1, 2, 3, 3), bias=torch.zeros(3)), r'bias: expected the shape \(2,\), got \(3,\)'),
    (lambda: add((1, 2, 3, 3), bias=torch.zeros(2).double()), 'bias: expected torch.float32 or'),
    (lambda: add((1, 2, 3, 3), size=(3, -1)), r'size=\[3, -1\]: expected two numbers, at least 1')])
def test_refusals(kernel, monkeypatch, call, message):
    if kernel == 'torch':  # as where nothing is compiled; the way there through C++ would lose the message
        for name in operators.SCHEMAS:
            monkeypatch.setattr(torch.ops.cmim_mm, name, getattr(torch.ops.cmim_mm, f'torch_{name}'))
    with pytest.raises(RuntimeError, match=message):
        call()


class Head(nn.Module):
    """A sum of two maps, and labels."""

    def __init__(self):
        super().__init__()
        self.add = BilinearSum(relu=True)

    def forward(self, x, y):
        total = self.add([x, y]) + ops.bilinear_sum([x, y], bias=x[0, :, 0, 0])
        return total, ops.bilinear_labels(total, (9, 9))


def test_export_and_compile():
    module, maps = Head(), (random(2, 4, 5, 6), random(2, 4, 3, 3, seed=1))
    height = torch.export.Dim('height', min=4, max=64)
    program = torch.export.export(module, maps, dynamic_shapes=({2: height}, {}))
    targets = {str(node.target) for node in program.graph.nodes}
    assert 'cmim_mm.bilinear_labels.default' in targets and 'aten.relu.default' in targets
    taller = torch.cat([maps[0], maps[0]], 2), maps[1]
    compiled = torch.compile(module, backend='aot_eager', fullgraph=True)
    for given, call in ((taller, program.module()), (maps, compiled)):
        for found, expected in zip(call(*given), module(*given)):
            torch.testing.assert_close(found, expected)


@pytest.mark.parametrize('options, activation, kind, relu', [
    (dict(), nn.ReLU(), BilinearSum, True), (dict(align_corners=True), nn.ReLU(), BilinearSum, True),
    (dict(norm_cfg=None), nn.ReLU(), BilinearSum, True), (dict(), nn.ReLU6(), BilinearSum, False),
    (dict(norm_cfg=dict(type='GN', num_groups=2)), nn.ReLU(), BilinearSum, False),
    (dict(interpolate_mode='nearest', align_corners=None), nn.ReLU(), ResizedSum, False)])
@torch.no_grad()
def test_heads(options, activation, kind, relu):
    """A ReLU goes into the sum where nothing is between them; the results stay."""
    torch.manual_seed(0)
    options = {**dict(in_index=[0, 1, 2], channels=8, num_classes=5, norm_cfg=dict(type='BN')), **options}
    head = SegformerHead(in_channels=[4, 6, 8], **options).eval()
    head.fusion_conv.activate = activation
    nn.init.normal_(head.conv_seg.weight)
    maps = [random(2, c, 12 // 2**i, 8 // 2**i, seed=i) for i, c in enumerate((4, 6, 8))]
    expected = head(maps)
    convert(head)
    assert type(head.resized_sum) is kind and getattr(head.resized_sum, 'relu', False) == relu
    torch.testing.assert_close(head(maps), expected, rtol=1e-4, atol=1e-5)


def test_in_the_place_of_the_heads_sum():
    maps, bias = [random(1, 6, size, size, seed=size) for size in (8, 4, 2)], random(6)
    for align_corners in (False, True):
        plain = ResizedSum(align_corners=align_corners)
        before = [x.clone() for x in maps]
        torch.testing.assert_close(bilinear(plain)(maps, bias), plain(maps, bias))
        torch.testing.assert_close(bilinear(plain)(maps[:1]), maps[0])
        assert all(torch.equal(x, y) for x, y in zip(maps, before))
    nearest = ResizedSum('nearest', None)
    assert bilinear(nearest) is nearest
