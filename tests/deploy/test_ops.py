"""The operators: bits, integers, float arithmetic, errors, and the ways of torch.export and torch.compile."""
import pytest
import torch
from packed import Case, packed_by_loops, signs
from torch.nn import functional as F

from cmim_mm.deploy import operators, ops
from cmim_mm.deploy.torch_path import pack_bits

#: Every test here runs with each kernel of this machine.
pytestmark = pytest.mark.usefixtures('kernel')


@pytest.mark.parametrize('channels, groups', [(1, 1), (63, 1), (64, 1), (65, 1), (130, 2), (12, 4)])
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_pack_sign(channels, groups, dtype):
    x = torch.randn(2, channels, 2, 3, generator=torch.Generator().manual_seed(0)).to(dtype)
    x[0, 0, 0, 0], x[0, 0, 0, 1], x[0, 0, 0, 2] = float('nan'), 0.5, -0.0
    for shape in ((1, 1), (1, channels), (2, 1), (2, channels)):
        threshold = torch.full(shape, 0.5)
        expected = packed_by_loops(torch.where(x.float() >= 0.5, 1, -1), groups)
        for layout in (torch.contiguous_format, torch.channels_last):
            assert torch.equal(ops.pack_sign(x.contiguous(memory_format=layout), threshold, groups), expected)
    assert torch.equal(ops.pack_sign(x, torch.zeros(1, 1), groups),
                       packed_by_loops(torch.where(x.float() >= 0, 1, -1), groups))


SHAPES = [
    dict(channels=64, out_channels=64, size=(5, 9), padding=1),
    dict(channels=3, out_channels=17, size=(6, 7), padding=(1, 0), stride=(2, 1), batch=2),
    dict(channels=130, out_channels=6, size=(4, 5), groups=2, padding=3, dilation=(1, 3)),
    dict(channels=40, out_channels=33, size=(3, 4), kernel=(1, 1)),
    dict(channels=8, out_channels=8, size=(5, 5), groups=8, padding=1),
    dict(channels=70, out_channels=5, size=(2, 3), padding=12, dilation=12)]


@pytest.mark.parametrize('shape', SHAPES)
def test_sums(shape):
    case = Case(0, **shape)
    s = ops.binary_conv2d(case.bits, case.weight, *case.args)
    assert s.dtype == torch.int32 and s.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(s.long(), case.sums)
    prepared = ops.prepare_weight(case.weight, case.args[0], case.args[-1])
    assert torch.equal(ops.binary_conv2d(case.bits, case.weight, *case.args, prepared), s)


@pytest.mark.parametrize('sign', [1, -1])
def test_largest_sums(sign):
    """Where all signs agree or none: narrow counters inside the kernels are as full as they can be."""
    case = Case(8, channels=1100, out_channels=65, size=(3, 4))
    full = torch.full((1, 3, 4, 1100), True)
    bits, weight = pack_bits(full, 1), pack_bits((full[:, :, :3] == (sign > 0)).expand(65, -1, -1, -1), 1)
    s = ops.binary_conv2d(bits, weight, *case.args)
    assert torch.equal(s, torch.full_like(s, sign * 9 * 1100))


@pytest.mark.parametrize('shape', SHAPES)
def test_threshold(shape):
    case = Case(1, **shape)
    o = case.sums.shape[1]
    threshold = torch.randint(-5, 5, (o,), generator=case.generator, dtype=torch.int32)
    flip = torch.rand(o, generator=case.generator) < 0.5
    expected = (case.sums >= threshold.view(-1, 1, 1)) ^ flip.view(-1, 1, 1)
    for groups in {1, o}:
        bits = ops.binary_conv2d_threshold(case.bits, case.weight, threshold, flip, *case.args,
                                           next_groups=groups)
        assert torch.equal(bits, packed_by_loops(torch.where(expected, 1, -1), groups))


def fused_arguments(case):
    """Every option of the fused convolution, and its formula in float64."""
    n, o, *out = case.sums.shape
    kh, kw = case.weight.shape[1:3]
    options = dict(scale=case.normal(o), offset=case.normal(o), window=case.normal(o),
                   border=case.normal(kh * kw, o), shortcut=case.normal(n, o, *out),
                   nonlinearity=case.normal(4, o), low=-2.0, high=3.0, next_threshold=case.normal(o),
                   gain=case.normal(o), shortcut_affine=case.normal(2, o))
    d = {key: value.double() for key, value in options.items() if isinstance(value, torch.Tensor)}
    column = (-1, 1, 1)
    v = d['scale'].view(column) * case.sums
    ones = torch.ones_like(case.w)
    v += d['window'].view(column) * F.conv2d(case.x, ones, **case.conv)
    v = d['gain'].view(column) * v + d['offset'].view(column)
    gain, shift = (row.view(column) for row in d['shortcut_affine'])
    v += gain * d['shortcut'] + shift
    inside = F.conv2d(torch.ones(1, kh * kw, *case.x.shape[2:]).double(), torch.eye(kh * kw).double().view(
        kh * kw, 1, kh, kw), **case.conv | dict(groups=kh * kw))  # a channel a tap: is it inside?
    v -= torch.einsum('nkyx,ko->noyx', 1 - inside, d['border'])
    shift_in, positive, negative, shift_out = (row.view(column) for row in d['nonlinearity'])
    v += shift_in
    v = torch.where(v > 0, positive, negative) * v + shift_out
    return options, v.clamp(-2, 3)


@pytest.mark.parametrize('shape', SHAPES)
def test_fused(shape):
    case = Case(2, **shape)
    options, expected = fused_arguments(case)
    scale, offset = options.pop('scale'), options.pop('offset')
    y, bits = ops.binary_conv2d_fused(case.bits, case.weight, scale, offset, *case.args,
                                      y_dtype=torch.float32, **options)
    assert y.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(y.double(), expected, rtol=1e-5, atol=1e-4)
    in_torch = torch.ops.cmim_mm.torch_binary_conv2d_fused(
        case.bits, case.weight, scale, offset, *case.args, y_dtype=torch.float32, **options)
    assert torch.equal(y, in_torch[0]) and torch.equal(bits, in_torch[1])  # to the last bit
    plus = y >= options['next_threshold'].view(-1, 1, 1)
    assert torch.equal(bits, packed_by_loops(torch.where(plus, 1, -1), 1))
    alone, none = ops.binary_conv2d_fused(case.bits, case.weight, scale, offset, *case.args,
                                          y_dtype=torch.bfloat16)
    plain = (case.sums.permute(0, 2, 3, 1).float() * scale + offset).permute(0, 3, 1, 2)
    assert torch.equal(alone, plain.bfloat16()) and none.shape == (0,)


def test_fused_keeps_nan():
    case = Case(3, channels=8, out_channels=2, size=(1, 1), kernel=(1, 1))
    y, bits = ops.binary_conv2d_fused(
        case.bits, case.weight, torch.ones(2), torch.tensor([float('nan'), 100.]), *case.args, low=-1.0,
        high=1.0, y_dtype=torch.float32, next_threshold=torch.full((2,), -1.0))
    assert y.flatten()[0].isnan() and y.flatten()[1] == 1 and bits.item() == 2


class Chain(torch.nn.Module):
    """Two layers, the first by thresholds."""

    def __init__(self):
        super().__init__()
        case = Case(4, channels=8, out_channels=8, size=(4, 4), groups=2)
        self.register_buffer('weight', case.weight)
        self.register_buffer('zeros', torch.zeros(8))

    def forward(self, x):
        conv = dict(in_channels=8, padding=1, groups=2)
        bits = ops.pack_sign(x, self.zeros[None], 2)
        bits = ops.binary_conv2d_threshold(bits, self.weight, self.zeros.int(), self.zeros.bool(),
                                           next_groups=2, **conv)
        y, bits = ops.binary_conv2d_fused(
            bits, self.weight, self.zeros + 1, self.zeros, shortcut=x, y_dtype=torch.float32,
            next_threshold=self.zeros, next_groups=2, **conv)
        return y + ops.binary_conv2d(bits, self.weight, **conv)


def test_export_and_compile():
    module, x = Chain(), torch.randn(2, 8, 5, 6, generator=torch.Generator().manual_seed(0))
    dynamic = torch.export.Dim('height', min=3, max=64)
    program = torch.export.export(module, (x,), dynamic_shapes=({2: dynamic},))
    taller = torch.cat([x, x], 2)
    assert torch.equal(program.module()(taller), module(taller))
    assert torch.equal(torch.compile(module, backend='aot_eager', fullgraph=True)(x), module(x))


@pytest.mark.parametrize('name', operators.SCHEMAS)
def test_opcheck(name):
    case = Case(5, channels=70, out_channels=6, size=(5, 4), groups=2, padding=1)
    options, _ = fused_arguments(case)
    arguments = dict(
        pack_sign=(torch.randn(2, 70, 3, 4), torch.zeros(1, 70), 2),
        prepare_weight=(case.weight, 70, 2),
        binary_conv2d=(case.bits, case.weight, *case.args),
        binary_conv2d_threshold=(case.bits, case.weight, torch.zeros(6).int(), torch.ones(6).bool(),
                                 *case.args),
        binary_conv2d_fused=(case.bits, case.weight, options.pop('scale'), options.pop('offset'), *case.args),
        stem_conv2d=(torch.randn(2, 3, 9, 8), torch.randn(5, 3, 3, 3), torch.randn(5), 2, 1, 3, 2, 1),
        bilinear_labels=(torch.randn(2, 5, 3, 4), (6, 7), True),
        bilinear_sum=([torch.randn(2, 5, 3, 4), torch.randn(2, 5, 2, 2)], None, torch.randn(5), True))
    given = dict(options, y_dtype=torch.bfloat16) if name == 'binary_conv2d_fused' else {}
    torch.library.opcheck(getattr(torch.ops.cmim_mm, name).default, arguments[name], given)


def operands():
    case = Case(6, channels=70, out_channels=6, size=(5, 4), groups=2, padding=1)
    return dict(bits=case.bits, weight=case.weight, in_channels=70, groups=2, padding=1)


def conv(**changes):
    return ops.binary_conv2d(**operands() | changes)


def fused(**changes):
    affine = dict(scale=torch.ones(6), offset=torch.ones(6), y_dtype=torch.float32)
    return ops.binary_conv2d_fused(**operands() | affine | changes)


def stem(**changes):
    given = dict(x=torch.zeros(1, 3, 9, 9), weight=torch.zeros(5, 3, 3, 3), bias=torch.zeros(5))
    return ops.stem_conv2d(**given | changes)


def pack(*shape, dtype=torch.float32, threshold=(1, 1), groups=1):
    return ops.pack_sign(torch.zeros(shape, dtype=dtype), torch.zeros(threshold), groups)


@pytest.mark.parametrize('call, message', [
    (lambda: conv(groups=4), 'groups=4: expected a divisor of the 70 channels'),
    (lambda: conv(groups=0), 'groups=0: expected a divisor'),
    (lambda: conv(groups=1), r"weight: expected the shape \('any', 'any', 'any', 2\)"),
    (lambda: conv(groups=6, in_channels=66), r"bits: expected the shape \('any', 'any', 'any', 6\)"),
    (lambda: conv(in_channels=640), 'weight: expected the shape'),
    (lambda: conv(bits=torch.zeros(1, 5, 4, 2)), 'bits: expected torch.int64, got torch.float32'),
    (lambda: conv(weight=torch.zeros(6, 3, 3, 2).long()), 'weight: expected the shape'),
    (lambda: conv(weight=torch.zeros(6, 3, 3, 1).int()), 'weight: expected torch.int64, got torch.int32'),
    (lambda: conv(weight=torch.zeros(5, 3, 3, 1).long()), 'groups=2: expected a divisor of the 5 channels'),
    (lambda: conv(stride=0), r'stride=\[0, 0\]: expected two numbers, at least 1'),
    (lambda: conv(padding=-1), r'padding=\[-1, -1\]: expected two numbers, at least 0'),
    (lambda: conv(dilation=0), r'dilation=\[0, 0\]: expected two numbers, at least 1'),
    (lambda: conv(dilation=4), 'is larger than the image'),
    (lambda: conv(prepared=torch.zeros(3).long()), 'prepared: expected the shape'),
    (lambda: fused(scale=torch.ones(5)), r'scale: expected the shape \(6,\), got \(5,\)'),
    (lambda: fused(window=torch.ones(6).double()), 'window: expected torch.float32, got torch.float64'),
    (lambda: fused(border=torch.ones(6)), r'border: expected the shape \(9, 6\)'),
    (lambda: fused(nonlinearity=torch.ones(3, 6)), r'nonlinearity: expected the shape \(4, 6\)'),
    (lambda: fused(shortcut=torch.ones(1, 6, 5, 5)), 'shortcut: expected the shape'),
    (lambda: fused(shortcut=torch.ones(1, 6, 5, 4).int()), 'shortcut: expected torch.float32 or'),
    (lambda: fused(y_dtype=torch.float16), 'y_dtype'),
    (lambda: fused(y_dtype=None), 'there is nothing to compute'),
    (lambda: fused(next_threshold=torch.zeros(6), next_groups=4), 'next_groups=4: expected a divisor of'),
    (lambda: pack(1, 6, 2, 2, dtype=torch.float64), 'x: expected torch.float32 or torch.bfloat16'),
    (lambda: pack(1, 6, 2), 'x: expected the shape'),
    (lambda: pack(2, 6, 2, 2, threshold=(1, 5)), r'threshold: expected the shape \(1 or 2, 1 or 6\)'),
    (lambda: pack(1, 6, 2, 2, groups=4), 'groups=4: expected a divisor of the 6 channels'),
    (lambda: stem(x=torch.zeros(1, 3, 4)), 'x: expected the shape'),
    (lambda: stem(x=torch.zeros(1, 3, 9, 9).double()), 'x: expected torch.float32 or torch.bfloat16, got'),
    (lambda: stem(x=torch.zeros(1, 2, 9, 9)), r"weight: expected the shape \('any', 2, 'any', 'any'\)"),
    (lambda: stem(bias=torch.zeros(6)), r'bias: expected the shape \(5,\), got \(6,\)'),
    (lambda: stem(bias=torch.zeros(5).bfloat16()), 'bias: expected torch.float32, got torch.bfloat16'),
    (lambda: stem(stride=[2, 2, 2]), r'stride=\[2, 2, 2\]: expected two numbers, at least 1'),
    (lambda: stem(stride=[]), r'stride=\[\]: expected two numbers, at least 1'),
    (lambda: conv(dilation=[]), r'dilation=\[\]: expected two numbers, at least 1'),
    (lambda: stem(stride=0), r'stride=\[0, 0\]: expected two numbers, at least 1'),
    (lambda: stem(padding=-1), r'padding=\[-1, -1\]: expected two numbers, at least 0'),
    (lambda: stem(pool_stride=0), r'pool_stride=\[0, 0\]: expected two numbers, at least 1'),
    (lambda: stem(pool=2, pool_padding=2), r'pool_padding=\[2, 2\]: expected at most half of pool=\[2, 2\]'),
    (lambda: stem(x=torch.zeros(1, 3, 2, 9)), r'the filter \(3, 3\) is larger than the map \(2, 9\)'),
    (lambda: stem(pool=8), r'the pool \(8, 8\) is larger than the map \(7, 7\)')])
def test_refusals(kernel, monkeypatch, call, message):
    if kernel == 'torch':  # as where nothing is compiled; the way there through C++ would lose the message
        for name in operators.SCHEMAS:
            monkeypatch.setattr(torch.ops.cmim_mm, name, getattr(torch.ops.cmim_mm, f'torch_{name}'))
    with pytest.raises(RuntimeError, match=message):
        call()


def test_loops_agree_with_vectors():
    """Packing bit by bit and the packing that the other tests rely on."""
    x = signs(torch.Generator().manual_seed(7), 2, 70, 3, 2)
    assert torch.equal(ops.pack_sign(x.float(), torch.zeros(1, 1), 2), packed_by_loops(x, 2))
