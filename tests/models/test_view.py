"""Another view of the images of a batch: crops, flips and colours."""
import torch

from cmim_mm.models.latents.encode import View


def test_second_view_of_a_share_of_the_area():
    columns = torch.arange(16.0).expand(256, 3, 16, 16)
    rows = columns.transpose(2, 3)
    torch.manual_seed(0)
    views = [View(area_range=(0.25, 0.36))(ramp) for ramp in (columns, columns)]
    assert views[0].shape == columns.shape and not torch.equal(*views)
    steps = views[0].diff(dim=3)[:, 0, 4, 2:-2].mean(1)  # the crop's width / the image's, negative if flipped
    assert 64 < (steps < 0).sum() < 192
    assert steps.square().min() >= 0.25 * 3 / 4 - 0.01 and steps.square().max() <= 0.36 * 4 / 3 + 0.01
    first, last = views[0][:, 0, 4, 0], views[0][:, 0, 4, -1]
    assert min(first.min(), last.min()) < 1 and max(first.max(), last.max()) > 14  # crops reach both borders
    torch.manual_seed(0)
    widths = steps.abs()
    heights = View(area_range=(0.25, 0.36))(rows)[:, 0].diff(dim=1)[:, 2:-2, 4].mean(1)
    area, aspect = widths * heights, widths / heights
    assert area.min() > 0.24 and area.max() < 0.37 and aspect.min() > 0.74 and aspect.max() < 1.34


def test_second_view_in_other_colours():
    images = torch.randn(256, 3, 8, 8)
    torch.manual_seed(3)
    plain = View()(images)
    torch.manual_seed(3)
    coloured = View(colour=0.5)(images)
    plain, coloured = plain.flatten(2), coloured.flatten(2)
    gain = coloured.std(2) / plain.std(2)
    shift = coloured.mean(2) - gain * plain.mean(2)
    torch.testing.assert_close(gain[..., None] * plain + shift[..., None], coloured)  # one each for a channel
    for drawn, middle in ((gain, 1), (shift, 0)):
        assert middle - 0.5 <= drawn.min() < middle - 0.4 and middle + 0.4 < drawn.max() <= middle + 0.5
        assert (drawn[:, 0] - drawn[:, 1]).abs().max() > 0.3
