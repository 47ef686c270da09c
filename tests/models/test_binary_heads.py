"""mmseg's heads, binarized by conv_cfg: they train, and no binary layer gets a constant."""
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.optim import OptimWrapper
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from cmim_mm.binarize import BinaryConv2d

LAST = dict(in_channels=512, in_index=3)
ALL = dict(in_channels=[64, 128, 256, 512], in_index=[0, 1, 2, 3])
#: Head -> arguments, number of convolutions that mmseg builds by conv_cfg.
HEADS = {
    'FCNHead': (dict(LAST, num_convs=2), 3),
    'ASPPHead': (dict(LAST, dilations=(1, 2, 3)), 5),
    'DepthwiseSeparableASPPHead': (
        dict(LAST, dilations=(1, 2, 3), c1_in_channels=64, c1_channels=8), 4),
    'UPerHead': (dict(ALL, pool_scales=(1, 2)), 10),
    'SegformerHead': (ALL, 0),  # it has no use for conv_cfg
}


@pytest.mark.usefixtures('mmseg_scope')
@pytest.mark.parametrize('name', HEADS)
def test_binary_head_trains(name, watch_shares):
    arguments, number = HEADS[name]
    torch.manual_seed(0)
    model = MODELS.build(ConfigDict(
        type='EncoderDecoder',
        data_preprocessor=dict(type='cmim_mm.DenseDataPreProcessor'),
        # No activation behind its sums: the mean of a PReLU's output over an image, which the heads'
        # global pools take, is positive in every channel.
        backbone=dict(type='cmim_mm.BinaryResNet', binarizer='BiReal', output_stride=16),
        decode_head=dict(
            type=name, channels=16, num_classes=4, norm_cfg=dict(type='BN'), act_cfg=dict(type='PReLU'),
            conv_cfg=dict(type='cmim_mm.BinaryConv2d', binarizer='ReActNet'), **arguments)))
    model.init_weights()
    binary = {n for n, m in model.decode_head.named_modules() if isinstance(m, BinaryConv2d)}
    shares = watch_shares(model.decode_head)
    samples = []
    for _ in range(2):
        samples.append(SegDataSample(metainfo=dict(img_shape=(64, 96), ori_shape=(64, 96))))
        samples[-1].gt_sem_seg = PixelData(data=torch.randint(0, 4, (1, 64, 96)))
    before = {k: v.clone() for k, v in model.decode_head.named_parameters()}
    data = dict(inputs=[torch.randn(3, 64, 96) for _ in range(2)], data_samples=samples)
    losses = model.train().train_step(data, OptimWrapper(torch.optim.SGD(model.parameters(), 10.0)))
    assert torch.isfinite(losses['loss'])
    assert shares.keys() == binary and len(binary) == number
    assert all(0.05 <= share <= 0.95 for share in shares.values()), shares
    unmoved = {k for k, v in model.decode_head.named_parameters() if torch.equal(v, before[k])}
    assert not unmoved
