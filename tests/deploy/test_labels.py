"""Labels without logits are those of mmsegmentation's way, whatever is resized, padded, flipped or slid."""
import copy

import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmseg.models import EncoderDecoder
from mmseg.structures import SegDataSample
from torch import nn

from cmim_mm.deploy import labels as module
from cmim_mm.deploy import load, ops, pack, write
from cmim_mm.deploy.convert import convert
from cmim_mm.deploy.labels import labels_alone, predicts_labels
from cmim_mm.deploy.packing import build, for_inference

SIZE = (32, 48)


def make(repository, task='seg'):
    torch.manual_seed(0)
    cfg = for_inference(Config.fromfile(repository / f'configs/nyud_{task}_bnn_quick.py').model.to_dict())
    model = build(dict(model=cfg))
    if task == 'seg':  # classes far apart, each the largest somewhere
        classifier = model.decode_head.conv_seg.requires_grad_(False)
        nn.init.normal_(classifier.weight)
        with torch.no_grad():
            classifier.bias -= model(images()).mean((0, 2, 3))
    return model, cfg


@pytest.fixture(scope='module')
def ordinary(repository):
    return convert(make(repository)[0])


@pytest.fixture
def models(ordinary):
    """A packed segmentor and its copy without logits."""
    one = copy.deepcopy(ordinary)
    return one, labels_alone(copy.deepcopy(one))


@pytest.fixture
def calls(monkeypatch):
    """Sizes that bilinear_labels resized to, with those it took."""
    seen, call = [], ops.bilinear_labels

    def spy(logits, size, align_corners):
        seen.append((tuple(logits.shape[2:]), tuple(size)))
        return call(logits, size, align_corners)

    monkeypatch.setattr(module.ops, 'bilinear_labels', spy)
    return seen


def samples(number=2, ori_shape=SIZE, **meta):
    return [SegDataSample(metainfo=dict(ori_shape=ori_shape, img_shape=SIZE, pad_shape=SIZE, **meta))
            for _ in range(number)]


def images(number=2):
    return torch.randn(number, 3, *SIZE, generator=torch.Generator().manual_seed(1))


def check(found, expected):
    """Labels whose logits are the largest, to rounding, and no logits."""
    for one, other in zip(found, expected, strict=True):
        data, logits = one.pred_sem_seg.data, other.seg_logits.data
        assert 'seg_logits' not in one and data.shape == other.pred_sem_seg.data.shape
        assert data.dtype == torch.int64 and len(data.unique()) > 3
        torch.testing.assert_close(logits.gather(0, data), logits.amax(0, keepdim=True))
        assert (data == other.pred_sem_seg.data).float().mean() > 0.99


@pytest.mark.parametrize('meta, resizes', [
    (dict(), [(16, 24), SIZE]),
    (dict(flip=True, flip_direction='horizontal'), [(16, 24), SIZE]),
    (dict(flip=True, flip_direction='vertical'), [(16, 24), SIZE]),
    (dict(flip=False, flip_direction=None), [(16, 24), SIZE]),
    (dict(ori_shape=(45, 31)), [SIZE, (45, 31)]),
    (dict(ori_shape=(20, 40), flip=True, flip_direction='horizontal'), [SIZE, (20, 40)]),
    (dict(padding_size=[3, 5, 0, 2], ori_shape=(30, 40)), [(16, 24), SIZE]),
    (dict(padding_size=[9, 9, 9, 9], img_padding_size=[0, 6, 4, 1], ori_shape=(27, 42)), [(16, 24), SIZE]),
    (dict(padding_size=[3, 5, 0, 2], ori_shape=(60, 80), flip=True, flip_direction='vertical'),
     [(30, 40), (60, 80)])])
@torch.no_grad()
def test_whole_images(models, calls, meta, resizes):
    one, other = models
    expected, found = (model.predict(images(), samples(**meta)) for model in (one, other))
    check(found, expected)
    small, large = resizes
    small = tuple(one(images()).shape[2:]) if small == (16, 24) else small
    assert calls == 2 * [(small, large)]


@torch.no_grad()
def test_other_ways_to_call(models, calls):
    one, other = models
    check(other.predict(images()), one.predict(images()))
    check(other.test_step(dict(inputs=list(50 * images()), data_samples=samples())),
          one.test_step(dict(inputs=list(50 * images()), data_samples=samples())))
    sizes = [image[:, :24 + 8 * i] for i, image in enumerate(images())]  # of two sizes, one by one
    check(other.predict(sizes), one.predict(sizes))
    for model in models:
        model.test_cfg = ConfigDict(mode='slide', crop_size=(24, 24), stride=(8, 12))
    del calls[:]
    expected, found = (model.predict(images(), samples(ori_shape=(64, 96))) for model in models)
    check(found, expected)
    assert calls == 2 * [(SIZE, (64, 96))]
    torch.testing.assert_close(other.encode_decode(images(), [dict(img_shape=SIZE)]),
                               one.encode_decode(images(), [dict(img_shape=SIZE)]))


@torch.no_grad()
def test_a_head_with_a_way_of_its_own(models, calls):
    """What a head does between its logits and the image's size is done."""
    kind = type(models[0].decode_head)
    shifted = type('Shifted', (kind, ), dict(
        predict_by_feat=lambda self, logits, metas: kind.predict_by_feat(self, logits.roll(1, 1), metas)))
    for model in models:
        model.decode_head.__class__ = shifted
    check(models[1].predict(images(), samples()), models[0].predict(images(), samples()))
    assert calls == 2 * [(SIZE, SIZE)]


@torch.no_grad()
def test_what_goes_the_ordinary_way(models):
    """One class with a threshold, and logits that are not finite."""
    one, other = models
    for model in models:
        model.decode_head.conv_seg.bias[2] = float('nan')
    expected, found = (model.predict(images(), samples(ori_shape=(40, 40)))[0] for model in models)
    assert found.seg_logits.data.isnan().any()
    assert torch.equal(found.pred_sem_seg.data, expected.pred_sem_seg.data)
    for model in models:
        model.decode_head.conv_seg = nn.Conv2d(model.decode_head.channels, 1, 1).requires_grad_(False)
        nn.init.constant_(model.decode_head.conv_seg.bias, 0)
        model.decode_head.conv_seg.load_state_dict(one.decode_head.conv_seg.state_dict())
        model.decode_head.threshold = 0.5
    expected, found = (model.predict(images(), samples(ori_shape=(40, 40)))[0] for model in models)
    assert 'seg_logits' not in found and found.pred_sem_seg.data.float().mean() not in (0, 1)
    assert torch.equal(found.pred_sem_seg.data, expected.pred_sem_seg.data)
    nn.init.constant_(other.decode_head.conv_seg.bias, float('nan'))
    assert other.predict(images(), samples())[0].seg_logits.data.isnan().all()


@pytest.mark.parametrize('name', ['inference', 'postprocess_result'])
def test_a_segmentor_with_a_way_of_its_own_is_refused(models, name):
    model = models[0]
    model.__class__ = type('Own', (type(model), ), {name: lambda self, *args: None})
    assert not predicts_labels(model)
    with pytest.raises(ValueError, match='a Own has none to leave out; .* and postprocess_result of'):
        labels_alone(model)


@torch.no_grad()
def test_a_whole_inference_of_its_own_is_called(models, calls):
    one, other = models
    own = type(one).whole_inference
    for model in models:
        model.__class__ = type('Own', (type(model), ), dict(
            whole_inference=lambda self, *args: own(self, *args).roll(1, 1)))
    check(other.predict(images(), samples()), one.predict(images(), samples()))
    assert calls == 2 * [(SIZE, SIZE)]


@torch.no_grad()
def test_files(repository, tmp_path):
    model, cfg = make(repository)
    file = tmp_path / 'seg.cmim'
    write(pack(model, dict(model=cfg)), file)
    for dtype in (torch.float32, torch.bfloat16):
        one, other = (load(file, dtype=dtype, logits=logits) for logits in (True, False))
        check(other.predict(images()), one.predict(images()))
        assert isinstance(other, EncoderDecoder) and type(other).__name__ == type(one).__name__
        assert other.state_dict().keys() == one.state_dict().keys()
        assert labels_alone(other) is other and predicts_labels(other)
    model, cfg = make(repository, 'depth')
    write(pack(model, dict(model=cfg)), file)
    assert not predicts_labels(load(file))
    with pytest.raises(ValueError, match='logits=False: a DepthEstimator has none to leave out'):
        load(file, logits=False)
