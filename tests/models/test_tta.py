"""Views of an image are averaged; a NaN of one view stays visible."""
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.models import SegTTAModel as StockSegTTAModel
from mmseg.structures import SegDataSample
from torch import nn

from cmim_mm.models import DepthTTAModel, SegTTAModel


class Module(nn.Module):
    """What a TTA model asks of the model that it wraps."""

    def __init__(self, channels):
        super().__init__()
        self.out_channels = channels
        self.decode_head = nn.Identity()
        self.decode_head.threshold = 0.3

    def test_step(self, data):
        raise AssertionError('not called')


def views(channels, count=3):
    rng = torch.Generator().manual_seed(channels)
    out = []
    for i in range(count):
        sample = SegDataSample(metainfo=dict(img_path='a.png', flip=bool(i)))
        sample.gt_sem_seg = PixelData(data=torch.zeros(1, 4, 6, dtype=torch.long))
        scores = torch.randn(channels, 4, 6, generator=rng)
        sample.seg_logits = PixelData(data=scores if channels > 1 else scores.sigmoid())
        sample.pred_depth_map = PixelData(data=scores[:1] + i)
        out.append(sample)
    return out


@pytest.mark.parametrize('channels', [2, 5])
def test_segmentation_is_that_of_mmsegmentation(channels):
    merged, = SegTTAModel(Module(channels)).merge_preds([views(channels)])
    stock, = StockSegTTAModel(Module(channels)).merge_preds([views(channels)])
    assert torch.equal(merged.pred_sem_seg.data.squeeze(), stock.pred_sem_seg.data.squeeze())
    torch.testing.assert_close(merged.seg_logits.data.sum(0), torch.ones(4, 6))
    assert 'gt_sem_seg' in merged and not merged.flip


def test_a_binary_head_is_averaged_and_thresholded():
    merged, = SegTTAModel(Module(1)).merge_preds([views(1)])
    mean = torch.stack([view.seg_logits.data for view in views(1)]).mean(0)
    assert torch.equal(merged.pred_sem_seg.data, (mean > 0.3).float())


@pytest.mark.parametrize('model, key', [(SegTTAModel, 'seg_logits'), (DepthTTAModel, 'pred_depth_map')])
def test_a_nan_of_one_view_is_seen(model, key):
    given = views(5)
    given[0].get(key).data[0, 1, 2] = float('nan')
    merged, = model(Module(5)).merge_preds([given])
    assert merged.get(key).data[0].isnan().nonzero().tolist() == [[1, 2]]
