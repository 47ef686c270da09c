"""What a linear probe is made of: standardized maps and one linear map to depth."""
import pytest
import torch

from cmim_mm.models import LinearDepthHead, StandardizeNeck


def test_standardize_by_batch_then_by_running_statistics():
    neck = StandardizeNeck([3, 5])
    maps = [torch.randn(4, 3, 6, 8) * 7 + 2, torch.randn(4, 5, 3, 4) * 0.1 - 9]
    for standardized, x in zip(neck(maps), maps):
        assert standardized.shape == x.shape
        assert standardized.mean((0, 2, 3)).abs().max() < 1e-3
        assert (standardized.var((0, 2, 3), unbiased=False) - 1).abs().max() < 1e-2
    assert not list(neck.parameters())
    before = [buffer.clone() for buffer in neck.eval().buffers()]
    mean, var = neck.norms[0].running_mean, neck.norms[0].running_var
    expected = (maps[0] - mean[:, None, None]) / (var[:, None, None] + 1e-5).sqrt()
    assert torch.allclose(neck(maps)[0], expected, atol=1e-5)
    assert all(torch.equal(a, b) for a, b in zip(before, neck.buffers()))
    with pytest.raises(ValueError, match='1 maps, but in_channels has 2'):
        neck(maps[:1])


def test_depth_is_a_bounded_linear_map_of_all_maps_at_the_finest_size():
    head = LinearDepthHead([2, 3], [0, 1], loss_decode=dict(type='cmim_mm.SiLogLoss'), min_depth=0.5,
                           max_depth=8.0, align_corners=False).eval()
    maps = [torch.randn(1, 2, 4, 6), torch.randn(1, 3, 4, 6)]
    weight, bias = head.conv_seg.weight.flatten(), head.conv_seg.bias
    logit = torch.einsum('c,nchw->nhw', weight, torch.cat(maps, 1))[:, None] + bias
    assert torch.allclose(head(maps), 0.5 + 7.5 * torch.sigmoid(logit), atol=1e-6)
    assert sum(p.numel() for p in head.parameters()) == 5 + 1
    assert head([maps[0], maps[1][..., ::2, ::2]]).shape == (1, 1, 4, 6)
