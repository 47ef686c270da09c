"""Heads with global pooling train on a batch of one image."""
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch import nn

from cmim_mm.engine.cli import expected_message
from cmim_mm.models import BatchNorm, ClsHead
from cmim_mm.models.batch_norm import OneValueError
from cmim_mm.structures import ClsDataSample


def test_other_batches_are_those_of_batch_norm():
    torch.manual_seed(0)
    ours, stock = BatchNorm(3), nn.BatchNorm2d(3)
    for shape in ((2, 3, 1, 1), (1, 3, 1, 2), (4, 3, 5, 5)):
        x = torch.randn(shape)
        assert torch.equal(ours(x), stock(x))
    assert all(torch.equal(value, stock.state_dict()[key]) for key, value in ours.state_dict().items())


def test_one_value_a_channel_is_normalized_as_in_evaluation():
    norm = BatchNorm(3)
    norm(torch.randn(8, 3, 4, 4) * 3 + 1)
    state = {key: value.clone() for key, value in norm.state_dict().items()}
    x = torch.randn(1, 3, 1, 1, requires_grad=True)
    y = norm(x)
    y.sum().backward()
    assert torch.equal(y, norm.eval()(x)) and x.grad.abs().min() > 0
    assert all(torch.equal(value, state[key]) for key, value in norm.state_dict().items())


def test_a_classifier_trains_on_one_image():
    torch.manual_seed(0)
    head = ClsHead(3, in_channels=4, with_norm=True).train()
    samples = [ClsDataSample(gt_label=torch.tensor([1]))]
    loss = head.loss((torch.randn(1, 4, 2, 2), ), samples)['loss_cls']
    loss.backward()
    assert loss.isfinite() and head.fc.weight.grad.abs().sum() > 0


@pytest.mark.parametrize('name, arguments', [
    ('BinaryResNet', dict(depth=18)), ('BinaryResNet', dict(depth=18, binarizer=None)),
    ('BinaryMobileNet', {})])
def test_a_backbone_says_what_is_too_small(name, arguments):
    model = MODELS.build(dict(type=f'cmim_mm.{name}', **arguments)).train()
    image = torch.randn(1, 3, 32, 32)
    with pytest.raises(OneValueError, match=rf'{name}: layer\d .* 32x32 .*batch_size.*norm_eval') as found:
        model(image)
    assert expected_message(found.value) == str(found.value)
    assert model(torch.cat([image, image]))[-1].shape[2:] == (1, 1)
    model.norm_eval = True
    assert model.train()(image)[-1].isfinite().all()


@pytest.mark.parametrize('head', ['fcn', 'aspp', 'deeplabv3plus', 'segformer', 'upernet', 'depth'])
@pytest.mark.parametrize('count', [1, 2])
def test_every_model_trains_on_one_image(repository, head, count):
    init_default_scope('mmseg')
    torch.manual_seed(0)
    cfg = Config.fromfile(repository / f'configs/_base_/models/bnn_r18_{head}.py')
    model = MODELS.build(cfg.model).train()
    samples = []
    for _ in range(count):
        sample = SegDataSample(metainfo=dict(img_shape=(64, 96), ori_shape=(64, 96)))
        sample.gt_sem_seg = PixelData(data=torch.randint(0, 40, (1, 64, 96)))
        sample.gt_depth_map = PixelData(data=torch.rand(1, 64, 96) + 1)
        samples.append(sample)
    images = [torch.randint(0, 256, (3, 64, 96), dtype=torch.uint8) for _ in range(count)]
    data = model.data_preprocessor(dict(inputs=images, data_samples=samples), training=True)
    losses = model(**data, mode='loss')
    total = sum(value for key, value in losses.items() if 'loss' in key)
    total.backward()
    assert total.isfinite()
    gradients = [p.grad for p in model.decode_head.parameters() if p.grad is not None]
    assert gradients and all(gradient.isfinite().all() for gradient in gradients)
