"""What every binarizer must do, as checks that take a registered name. No test of its own in here."""
import copy

import torch
from torch import Tensor
from torch.nn import functional as F

from cmim_mm.binarize import BINARIZERS, BinaryConv2d, set_progress, start_epoch

#: Geometries: in, out, kernel and the further arguments of the convolution.
GEOMETRIES = [
    (4, 6, 3, {'padding': 1}),
    (4, 6, 3, {'stride': 2, 'padding': 2, 'dilation': 2, 'groups': 2, 'bias': True}),
    (4, 4, 3, {'padding': 1, 'groups': 4}),
    (6, 5, 1, {'stride': 2, 'bias': True}),
    (3, 4, 1, {}),
    (4, 4, 1, {'groups': 4}),
    (4, 6, (3, 1), {'padding': (1, 0)}),
    (4, 6, 3, {'padding': 'same', 'dilation': 2}),
    (4, 6, 3, {'padding': 1, 'padding_mode': 'circular'}),
]
#: Legal weights that are hard on statistics.
FILLS = {
    'positive': lambda w: w.abs_(),
    'negative': lambda w: w.abs_().neg_(),
    'zero': lambda w: w.zero_(),
    'constant': lambda w: w.fill_(0.1),
    'large': lambda w: w.mul_(1e4),
    'unit': lambda w: w.sign_(),
}


def build(name: str, *args, seed: int = 0, **kwargs) -> BinaryConv2d:
    """A layer whose own parameters have moved from their start, at progress 0.5."""
    if not args:
        args, kwargs = (4, 6, 3), {'padding': 1}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        conv = BinaryConv2d(*args, **kwargs, binarizer=name)
        for parameter in conv.binarizer.parameters():
            parameter.data += 0.1 * torch.rand_like(parameter)
    set_progress(conv, 0.5)
    return conv


def inputs(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*(shape or (2, 4, 6, 6)), generator=torch.Generator().manual_seed(seed))


def gradients(conv: torch.nn.Module, x: Tensor) -> dict:
    """Output and all gradients of a fixed random functional of it."""
    x = x.detach().clone().requires_grad_()
    conv.zero_grad()
    y = conv(x)
    (y * inputs(*y.shape, seed=2).to(y.dtype)).sum().backward()
    found = {name: parameter.grad for name, parameter in conv.named_parameters()}
    assert all(grad is not None for grad in found.values()), 'a parameter without a gradient'
    return {'y': y.detach(), 'x': x.grad, **found}


def assert_finite(tensors: dict, where: str = '') -> None:
    for name, tensor in tensors.items():
        assert tensor.isfinite().all(), f'{name} not finite {where}'


def assert_same(first: dict, second: dict, **tolerance) -> None:
    assert first.keys() == second.keys()
    for name in first:
        torch.testing.assert_close(first[name], second[name], msg=lambda m, n=name: f'{n}: {m}', **tolerance)


def check_class(name):
    method = BINARIZERS.get(name)
    assert method.block in ('plain', 'bireal', 'react', 'maxout')
    assert method.__doc__ and method.__doc__ != method.__mro__[1].__doc__
    assert build(name).binarizer.progress.dtype == torch.float32


def check_two_values(name):
    conv = build(name)
    for filter_ in conv.binary_weight():
        assert len(filter_.unique()) == 2
    assert len(conv.binary_input(inputs()).unique()) == 2


def check_upper_value_at_the_threshold(name):
    conv = build(name)
    form = conv.activation_form(torch.zeros(2, 4, 6, 6))
    x = torch.as_tensor(form.threshold).expand(2, 4, 6, 6).clone()
    upper = torch.as_tensor(form.scale + form.offset)
    torch.testing.assert_close(conv.binary_input(x), upper.expand_as(x), rtol=0, atol=0)


def check_packable_form(name):
    for in_channels, out_channels, kernel, rest in GEOMETRIES:
        conv = build(name, in_channels, out_channels, kernel, **rest)
        form = conv.weight_form()
        assert set(form.sign.unique().tolist()) <= {-1.0, 1.0}
        for part in (form.scale, form.offset):
            assert isinstance(part, float) or part.shape == (out_channels, 1, 1, 1)
        assert torch.equal(form.value(), conv.binary_weight())
        x = inputs(2, in_channels, 7, 6)
        for mode in (True, False):
            assert torch.equal(conv.train(mode).activation_form(x).value(x), conv.binary_input(x))


def check_equals_conv2d(name):
    for in_channels, out_channels, kernel, rest in GEOMETRIES:
        conv = build(name, in_channels, out_channels, kernel, **rest)
        x = inputs(2, in_channels, 9, 8)
        binary, keywords = conv.binary_input(x), dict(rest)
        if keywords.pop('padding_mode', None) == 'circular':
            binary = F.pad(binary, (1, 1, 1, 1), mode='circular')
            keywords['padding'] = 0
        keywords['bias'] = conv.bias if keywords.pop('bias', False) else None
        expected, scale = F.conv2d(binary, conv.binary_weight(), **keywords), conv.binarizer.output_scale()
        torch.testing.assert_close(conv(x), expected if scale is None else expected * scale)


def check_degenerate_filters(name):
    for what, fill in FILLS.items():
        for groups in (1, 4):
            conv = build(name, 4, 4, 3, padding=1, groups=groups)
            fill(conv.weight.data)
            assert_finite(gradients(conv, inputs()), f'with {what} filters')
            start_epoch(conv)
            assert_finite(gradients(conv, inputs()), f'with {what} filters, second epoch')


def check_special_inputs(name):
    for progress in (0.0, 0.5, 1.0):
        conv = build(name)
        set_progress(conv, progress)
        for value in (0.0, -0.0, 0.5, 1.0, -1.0, 1e4, -1e4):
            constant = torch.full((2, 4, 6, 6), value)
            assert_finite(gradients(conv, constant), f'on a constant {value}')
            mixed = inputs()
            mixed[:, ::2, 1] = value
            assert_finite(gradients(conv, mixed), f'with values {value}')
    assert_finite(gradients(build(name), inputs(1, 4, 1, 1)), 'at 1x1 pixels')


def check_eval_mode(name):
    conv = build(name).eval()
    before = copy.deepcopy(conv.state_dict())
    x = inputs(4, 4, 6, 6)
    whole = conv.binary_input(x)
    for i in range(4):
        assert torch.equal(whole[i:i + 1], conv.binary_input(x[i:i + 1]))
        torch.testing.assert_close(conv(x)[i:i + 1], conv(x[i:i + 1]))
    start_epoch(conv)
    assert_same(before, conv.state_dict(), rtol=0, atol=0)
    torch.testing.assert_close(conv.train()(x), conv.eval()(x))


def check_forward_keeps_state(name):
    conv = build(name)
    before = copy.deepcopy(conv.state_dict())
    gradients(conv, inputs())
    assert_same(before, conv.state_dict(), rtol=0, atol=0)


def check_half_precision(name):
    for dtype in (torch.bfloat16, torch.float16):
        conv = build(name)
        with torch.autocast('cpu', dtype=dtype):
            found = gradients(conv, inputs())
            assert torch.equal(conv.binary_weight(), build(name).binary_weight())
            assert torch.equal(conv.binary_input(inputs()), build(name).binary_input(inputs()))
            # The input of a deeper layer is half precision already.
            deep = inputs().to(dtype)
            assert conv.binary_input(deep).dtype == dtype and len(conv.binary_input(deep).unique()) == 2
            assert_finite(gradients(conv, (1e4 * inputs()).to(dtype)), f'on large {dtype}')
        assert found['y'].dtype == dtype
        assert found['weight'].dtype == torch.float32
        assert_finite(found, f'under {dtype} autocast')
        torch.testing.assert_close(found['y'].float(), build(name)(inputs()), rtol=0.02, atol=0.02)
        whole = build(name).to(dtype)
        assert whole(inputs().to(dtype)).dtype == dtype


def check_double(name):
    conv = build(name).double()
    assert conv(inputs().double()).dtype == torch.float64


def check_channels_last(name):
    conv = build(name).to(memory_format=torch.channels_last)
    x = inputs().contiguous(memory_format=torch.channels_last)
    assert conv.binary_input(x).is_contiguous(memory_format=torch.channels_last)
    assert_same(gradients(conv, x), gradients(build(name), inputs()), rtol=1e-4, atol=1e-5)


def check_copies(name):
    conv = build(name)
    start_epoch(conv)
    expected = gradients(conv, inputs())
    other = build(name, seed=3)
    set_progress(other, 0.0)
    other.load_state_dict(conv.state_dict(), strict=True)
    assert_same(gradients(other, inputs()), expected, rtol=0, atol=0)
    clone = copy.deepcopy(conv)
    assert_same(gradients(clone, inputs()), expected, rtol=0, atol=0)
    conv.weight.data.neg_()
    set_progress(conv, 1.0)
    assert_same(gradients(clone, inputs()), expected, rtol=0, atol=0)


def check_epochs_agree_between_copies(name):
    conv = build(name)
    clone = copy.deepcopy(conv)
    for layer in (conv, clone):
        start_epoch(layer)
        start_epoch(layer)
    assert_same(conv.state_dict(), clone.state_dict(), rtol=0, atol=0)


def check_compile(name):
    torch._dynamo.reset()
    # As in training: the channels last.
    conv, x = (part.to(memory_format=torch.channels_last) for part in (build(name), inputs()))
    compiled = torch.compile(conv, backend='aot_eager', fullgraph=True)
    expected = gradients(conv, x)
    # Restored on exit; a second compilation of the same graph would raise.
    with torch._dynamo.config.patch(error_on_recompile=True):
        found = gradients(compiled, x)
        assert_same({key.replace('_orig_mod.', ''): value for key, value in found.items()}, expected)
        set_progress(compiled, 0.9)
        found = gradients(compiled, x)
    expected = gradients(conv, x)
    assert_same({key.replace('_orig_mod.', ''): value for key, value in found.items()}, expected)
    torch._dynamo.reset()


def check_export(name):
    conv = build(name).eval()
    batch = torch.export.Dim('n', min=1, max=64)
    exported = torch.export.export(conv, (inputs(),), dynamic_shapes=({0: batch},))
    x = inputs(5, 4, 6, 6)
    torch.testing.assert_close(exported.module()(x), conv(x))
    assert set(exported.state_dict) == set(conv.state_dict())


def check_trace(name):
    for mode in (False, True):
        conv = build(name).train(mode)
        traced = torch.jit.trace(conv, inputs())
        x = inputs(5, 4, 6, 6)
        torch.testing.assert_close(traced(x), conv(x))


CHECKS = [check for key, check in sorted(globals().items()) if key.startswith('check_')]
