"""What cells of a grid show, by hand."""
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from cmim_mm.models.cells import cell_labels, padded_cells
from cmim_mm.structures import ClsDataSample


def test_a_cell_has_the_class_of_the_pixel_at_its_centre():
    labels = torch.arange(6 * 9).view(1, 6, 9)
    labels[0, 4, 7] = 255
    samples = [SegDataSample(gt_sem_seg=PixelData(data=data)) for data in (labels, labels + 1)]
    found = cell_labels(samples, (2, 3))
    assert found[0].flatten().tolist() == [10, 13, 16, 37, 40, -1]
    assert found[1].flatten().tolist() == [11, 14, 17, 38, 41, 256]
    assert cell_labels(samples, None) is None and cell_labels([SegDataSample()], (2, 3)) is None


def test_images_of_different_sizes_and_images_with_one_class():
    small = SegDataSample(gt_sem_seg=PixelData(data=torch.full((1, 4, 4), 3)))
    large = SegDataSample(gt_sem_seg=PixelData(data=torch.full((1, 8, 6), 5)))
    assert cell_labels([small, large], (2, 2)).flatten().tolist() == [3] * 4 + [5] * 4
    labelled = [ClsDataSample(gt_label=torch.tensor([i])) for i in (7, 9)]
    assert cell_labels(labelled, None).tolist() == [[[7]], [[9]]]
    assert cell_labels(labelled, (1, 2)).tolist() == [[[7, 7]], [[9, 9]]]


def test_padding_is_where_the_image_ends():
    samples = [SegDataSample(metainfo=dict(padding_size=(0, 5, 0, 2), pad_shape=(8, 12))), SegDataSample()]
    # Centres at rows 2 and 6 (image: 6 rows) and columns 1.5, 4.5, 7.5, 10.5 (image: 7 columns).
    expected = [[[False, False, True, True], [True] * 4], [[False] * 4] * 2]
    assert padded_cells(samples, (2, 4)).tolist() == expected
