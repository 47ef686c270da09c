"""Shapes that nobody thought of: every kernel gives the integers of a float64 convolution."""
import pytest
import torch
from packed import Case, packed_by_loops

from cmim_mm.deploy import ops
from cmim_mm.deploy.kernel import VARIABLE, available_kernels

hypothesis = pytest.importorskip('hypothesis')
st = hypothesis.strategies


@st.composite
def shapes(draw):
    """Channels around the words' and vectors' sizes, maps that may be smaller than the dilated filter."""
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    channels, out_channels = (groups * draw(st.sampled_from([1, 3, 15, 16, 17, 31, 33, 63, 64, 65, 129]))
                              for _ in range(2))
    pair = lambda low, high: draw(st.tuples(*[st.integers(low, high)] * 2))  # noqa: E731
    kernel, dilation, padding, stride = pair(1, 3), pair(1, 5), pair(0, 5), pair(1, 3)
    least = [max(1, d * (k - 1) + 1 - 2 * p) for k, d, p in zip(kernel, dilation, padding)]
    size = tuple(low + draw(st.integers(0, 9)) for low in least)
    return dict(channels=channels, out_channels=out_channels, size=size, kernel=kernel, groups=groups,
                batch=2, stride=stride, padding=padding, dilation=dilation)


@hypothesis.settings(max_examples=30, deadline=None, derandomize=True, database=None)
@hypothesis.given(shapes(), st.integers(0, 9))
def test_shapes(shape, seed):
    case = Case(seed, **shape)
    next_groups = shape['groups']
    plus = packed_by_loops(torch.where(case.sums >= 1, 1, -1), next_groups)
    ones = torch.ones(shape['out_channels'])
    with pytest.MonkeyPatch.context() as patch:
        for kernel in available_kernels():
            patch.setenv(VARIABLE, kernel)
            sums = ops.binary_conv2d(case.bits, case.weight, *case.args)
            assert torch.equal(sums.long(), case.sums), kernel
            bits = ops.binary_conv2d_threshold(case.bits, case.weight, ones.int(), ones == 0, *case.args,
                                               next_groups=next_groups)
            assert torch.equal(bits, plus), kernel
            y, bits = ops.binary_conv2d_fused(
                case.bits, case.weight, ones, 0 * ones, *case.args, y_dtype=torch.bfloat16,
                next_threshold=ones, next_groups=next_groups)
            assert torch.equal(y, case.sums.float().bfloat16()) and torch.equal(bits, plus), kernel
