"""Defines the operators: schemas, checks, what they give without computing, and the way to their kernels.

What each of them computes stands in :mod:`cmim_mm.deploy.ops`.
"""
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map_only

from . import kernel, torch_path
from .geometry import Geometry, check_groups, check_pair, check_tensor, conv_geometry, moved, num_words

FLOATS = torch.float32, torch.bfloat16

_GEOMETRY = 'int in_channels, int[2] stride=1, int[2] padding=0, int[2] dilation=1, int groups=1'
SCHEMAS = dict(
    pack_sign='(Tensor x, Tensor threshold, int groups=1) -> Tensor',
    prepare_weight='(Tensor weight, int in_channels, int groups=1) -> Tensor',
    binary_conv2d=f'(Tensor bits, Tensor weight, {_GEOMETRY}, Tensor? prepared=None) -> Tensor',
    binary_conv2d_threshold=f'(Tensor bits, Tensor weight, Tensor threshold, Tensor flip, {_GEOMETRY}, '
                            'int next_groups=1, Tensor? prepared=None) -> Tensor',
    binary_conv2d_fused=f'(Tensor bits, Tensor weight, Tensor scale, Tensor offset, {_GEOMETRY}, '
                        'Tensor? window=None, Tensor? border=None, Tensor? shortcut=None, '
                        'Tensor? nonlinearity=None, float? low=None, float? high=None, '
                        'ScalarType? y_dtype=None, Tensor? next_threshold=None, int next_groups=1, '
                        'Tensor? prepared=None, Tensor? gain=None, Tensor? shortcut_affine=None) '
                        '-> (Tensor, Tensor)',
    stem_conv2d='(Tensor x, Tensor weight, Tensor? bias=None, int[2] stride=1, int[2] padding=0, '
                'int[2] pool=1, int[2] pool_stride=1, int[2] pool_padding=0, Tensor? affine=None, '
                'bool pool_first=False) -> Tensor',
    bilinear_labels='(Tensor logits, SymInt[2] size, bool align_corners=False) -> Tensor',
    bilinear_sum='(Tensor[] maps, SymInt[2]? size=None, Tensor? bias=None, bool relu=False, '
                 'bool align_corners=False) -> Tensor')


def _empty_map(bits: Tensor, g: Geometry, dtype: torch.dtype) -> Tensor:
    return torch.empty(g.batch, g.out_channels, *g.out_size, dtype=dtype, device=bits.device,
                       memory_format=torch.channels_last)


def _empty_bits(bits: Tensor, g: Geometry, next_groups: int) -> Tensor:
    check_groups(g.out_channels, next_groups, 'next_groups')
    return bits.new_empty(g.batch, *g.out_size, next_groups * num_words(g.out_channels // next_groups))


def _check_pack_sign(x, threshold, groups=1):
    check_tensor('x', x, (None,) * 4, *FLOATS)
    n, channels, h, w = x.shape
    check_groups(channels, groups, 'groups')
    check_tensor('threshold', threshold, (None, None), torch.float32)
    torch._check(threshold.shape[0] in (1, n) and threshold.shape[1] in (1, channels), lambda: (
        f'threshold: expected the shape (1 or {n}, 1 or {channels}), got {tuple(threshold.shape)}'))
    return x.new_empty(n, h, w, groups * num_words(channels // groups), dtype=torch.int64)


def _check_prepare_weight(weight, in_channels, groups=1):
    return torch_path.prepare_weight(weight, in_channels, groups)


def _check_binary_conv2d(bits, weight, in_channels, stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=1,
                         prepared=None):
    g = conv_geometry(bits, weight, in_channels, stride, padding, dilation, groups, prepared)
    return _empty_map(bits, g, torch.int32)


def _check_binary_conv2d_threshold(bits, weight, threshold, flip, in_channels, stride=(1, 1), padding=(0, 0),
                                   dilation=(1, 1), groups=1, next_groups=1, prepared=None):
    g = conv_geometry(bits, weight, in_channels, stride, padding, dilation, groups, prepared)
    check_tensor('threshold', threshold, (g.out_channels,), torch.int32)
    check_tensor('flip', flip, (g.out_channels,), torch.bool)
    return _empty_bits(bits, g, next_groups)


def _check_binary_conv2d_fused(bits, weight, scale, offset, in_channels, stride=(1, 1), padding=(0, 0),
                               dilation=(1, 1), groups=1, window=None, border=None, shortcut=None,
                               nonlinearity=None, low=None, high=None, y_dtype=None, next_threshold=None,
                               next_groups=1, prepared=None, gain=None, shortcut_affine=None):
    g = conv_geometry(bits, weight, in_channels, stride, padding, dilation, groups, prepared)
    channels = (g.out_channels,)
    shapes = dict(scale=channels, offset=channels, window=channels, next_threshold=channels,
                  border=(g.kernel[0] * g.kernel[1], *channels), nonlinearity=(4, *channels), gain=channels,
                  shortcut_affine=(2, *channels))
    given = dict(scale=scale, offset=offset, window=window, border=border, nonlinearity=nonlinearity,
                 next_threshold=next_threshold, gain=gain, shortcut_affine=shortcut_affine)
    for name, tensor in given.items():
        if tensor is not None:
            check_tensor(name, tensor, shapes[name], torch.float32)
    if shortcut is not None:
        check_tensor('shortcut', shortcut, (g.batch, *channels, *g.out_size), *FLOATS)
    torch._check(shortcut is not None or shortcut_affine is None, lambda: (
        'shortcut_affine is given, but no shortcut'))
    torch._check(y_dtype in (None, *FLOATS), lambda: (
        f'y_dtype={y_dtype}: expected torch.float32, torch.bfloat16 or None'))
    torch._check(y_dtype is not None or next_threshold is not None, lambda: (
        'neither y_dtype nor next_threshold is given: there is nothing to compute'))
    y = bits.new_empty(0, dtype=torch.float32) if y_dtype is None else _empty_map(bits, g, y_dtype)
    if next_threshold is None:
        check_groups(g.out_channels, next_groups, 'next_groups')
        return y, bits.new_empty(0)
    return y, _empty_bits(bits, g, next_groups)


def _check_stem_conv2d(x, weight, bias=None, stride=(1, 1), padding=(0, 0), pool=(1, 1), pool_stride=(1, 1),
                       pool_padding=(0, 0), affine=None, pool_first=False):
    check_tensor('x', x, (None,) * 4, *FLOATS)
    check_tensor('weight', weight, (None, x.shape[1], None, None), *FLOATS, torch.int8)
    torch._check(weight.dtype != torch.int8 or affine is not None, lambda: (
        'weight is of torch.int8: expected an affine'))
    if bias is not None:
        check_tensor('bias', bias, weight.shape[:1], weight.dtype)
    if affine is not None:
        check_tensor('affine', affine, (2, weight.shape[0]), torch.float32)
    torch._check(bias is None or affine is None, lambda: (
        'both bias and affine are given: expected one of them'))
    torch._check(affine is not None or not pool_first, lambda: 'pool_first is given, but no affine')
    pool, pool_padding = check_pair('pool', pool, 1), check_pair('pool_padding', pool_padding, 0)
    torch._check(all(2 * p <= k for p, k in zip(pool_padding, pool)), lambda: (
        f'pool_padding={list(pool_padding)}: expected at most half of pool={list(pool)}'))
    size = moved('filter', x.shape[2:], weight.shape[2:], check_pair('stride', stride, 1),
                 check_pair('padding', padding, 0))
    size = moved('pool', size, pool, check_pair('pool_stride', pool_stride, 1), pool_padding)
    dtype = torch.bfloat16 if weight.dtype == torch.int8 else weight.dtype
    return torch.empty(x.shape[0], weight.shape[0], *size, dtype=dtype, device=x.device,
                       memory_format=torch.channels_last)


def _check_pixels(name, x):
    torch._check(min(x.shape[1:]) > 0, lambda: (
        f'{name}: expected at least one channel and one pixel, got the shape {tuple(x.shape)}'))


def _check_bilinear_labels(logits, size, align_corners=False):
    check_tensor('logits', logits, (None,) * 4, *FLOATS)
    _check_pixels('logits', logits)
    return logits.new_empty(logits.shape[0], *check_pair('size', size, 1), dtype=torch.int64)


def _check_bilinear_sum(maps, size=None, bias=None, relu=False, align_corners=False):
    torch._check(len(maps) > 0, lambda: 'maps: expected at least one map, got none')
    check_tensor('maps[0]', maps[0], (None,) * 4, *FLOATS)
    n, channels, *first_size = maps[0].shape
    size = first_size if size is None else check_pair('size', size, 1)
    for i, x in enumerate(maps):
        check_tensor(f'maps[{i}]', x, (n, channels, None, None), maps[0].dtype)
        _check_pixels(f'maps[{i}]', x)
    if bias is not None:
        check_tensor('bias', bias, (channels,), *FLOATS)
    return torch.empty(n, channels, *size, dtype=maps[0].dtype, device=maps[0].device,
                       memory_format=torch.channels_last)


_LIBRARY = torch.library.Library('cmim_mm', 'FRAGMENT')


def _register(name: str) -> None:
    """Defines an operator, and another, ``torch_NAME``, that never takes the compiled kernels.

    The kernels register themselves for the CPU when they are loaded: the first call comes here, later ones
    do not.
    """
    check = globals()[f'_check_{name}']
    compute = getattr(torch_path, name)

    def run_in_torch(*args):
        check(*tree_map_only(Tensor, lambda x: x.to('meta'), args))
        return compute(*args)

    def run(*args):
        devices = {x.device.type for x in tree_leaves(args) if isinstance(x, Tensor)}
        compiled = devices == {'cpu'} and kernel.load()
        return getattr(torch.ops.cmim_mm, name)(*args) if compiled else run_in_torch(*args)

    for operator, function in ((name, run), (f'torch_{name}', run_in_torch)):
        _LIBRARY.define(operator + SCHEMAS[name], tags=(torch.Tag.pt2_compliant_tag,))
        _LIBRARY.impl(operator, function, 'CompositeExplicitAutograd')
        torch.library.register_fake(f'cmim_mm::{operator}', check, lib=_LIBRARY)


for _name in SCHEMAS:
    _register(_name)
