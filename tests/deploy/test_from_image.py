"""A model as a function of the image: what its outputs are called, and which models have no such function."""
import pytest
import torch
from mmengine.registry import init_default_scope

from cmim_mm.checkpoint import CheckpointError
from cmim_mm.deploy.from_image import FromImage
from cmim_mm.registry import MODELS


def segmentor(**test_cfg):
    init_default_scope('mmseg')
    return MODELS.build(dict(
        type='cmim_mm.EncoderDecoder',
        backbone=dict(type='cmim_mm.BinaryVGG', binarizer='BNN', out_indices=(0, )),
        decode_head=dict(type='cmim_mm.FCNHead', in_channels=128, channels=8, num_convs=1, num_classes=3,
                         in_index=0, concat_input=False),
        data_preprocessor=dict(type='cmim_mm.DenseDataPreProcessor', mean=[0] * 3, std=[1] * 3),
        test_cfg=test_cfg)).eval()


def test_windows_that_slide_are_refused():
    """Exported without them it would predict something else, without a word."""
    whole = FromImage(segmentor(mode='whole'))
    assert whole(torch.zeros(1, 3, 16, 24)).shape == (1, 3, 16, 24) and whole.output_names(1) == ['logits']
    with pytest.raises(CheckpointError, match=r"'slide'.*test_cfg.mode=whole and --size .* \(8, 16\)"):
        FromImage(segmentor(mode='slide', crop_size=(8, 16), stride=(4, 8)))


def test_padding_in_evaluation_is_refused():
    model = segmentor(mode='whole')
    model.data_preprocessor.test_cfg = dict(size_divisor=32)
    with pytest.raises(CheckpointError, match='test_cfg pads images in evaluation'):
        FromImage(model)
