"""A batch of different sizes gives what its images give one by one."""
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from mmseg.structures import SegDataSample

# The last two are of one size for the network at half resolution, and of different ones for the figures.
SIZES = [(64, 96), (48, 80), (64, 96), (40, 64), (63, 96)]


@pytest.fixture(scope='module', params=['seg', 'depth'])
def model(request, repository):
    init_default_scope('mmseg')
    torch.manual_seed(0)
    cfg = Config.fromfile(repository / f'configs/nyud_{request.param}_bnn_quick.py')
    return MODELS.build(cfg.model).eval()


def images():
    rng = torch.Generator().manual_seed(0)
    return [torch.randint(0, 256, (3, *size), generator=rng, dtype=torch.uint8) for size in SIZES]


def batch(chosen, flip=False):
    samples = [SegDataSample(metainfo=dict(
        ori_shape=image.shape[1:], img_shape=image.shape[1:], flip=flip, flip_direction='horizontal'))
        for image in chosen]
    return dict(inputs=list(chosen), data_samples=samples)


def maps(samples):
    key = 'seg_logits' if 'seg_logits' in samples[0] else 'pred_depth_map'
    return [sample.get(key).data for sample in samples]


@pytest.mark.parametrize('step', ['val_step', 'test_step'])
@torch.no_grad()
def test_equals_one_by_one(model, step):
    together = maps(getattr(model, step)(batch(images())))
    assert [tuple(m.shape[1:]) for m in together] == SIZES
    for image, found in zip(images(), together):
        alone, = maps(getattr(model, step)(batch([image])))
        torch.testing.assert_close(found, alone, atol=2e-5, rtol=1e-4)


@torch.no_grad()
def test_without_samples_and_with_padding_in_testing(model):
    inputs = model.data_preprocessor(dict(inputs=images()))['inputs']
    assert isinstance(inputs, list) and {tuple(i.shape[1:]) for i in inputs} == {(32, 48), (24, 40), (20, 32)}
    assert len(model.predict(inputs)) == len(SIZES)
    model.data_preprocessor.test_cfg = dict(size=(32, 48))
    try:
        padded = model.data_preprocessor(batch(images()))
        assert padded['inputs'].shape == (5, 3, 32, 48)
        assert [tuple(m.shape[1:]) for m in maps(model.predict(**padded))] == SIZES
    finally:
        model.data_preprocessor.test_cfg = None


@torch.no_grad()
def test_augmented_views(model):
    kind = 'cmim_mm.SegTTAModel' if hasattr(model.decode_head, 'conv_seg') and model.out_channels > 1 \
        else 'cmim_mm.DepthTTAModel'
    tta = MODELS.build(dict(type=kind, module=model))
    given = [batch(images()), batch([image.flip(-1) for image in images()], flip=True)]
    data = {key: [view[key] for view in given] for key in ('inputs', 'data_samples')}
    merged = tta.test_step(data)
    for i, found in enumerate(merged):
        single = {key: [[view[i]] for view in views] for key, views in data.items()}
        alone, = tta.test_step(single)
        torch.testing.assert_close(maps([found])[0], maps([alone])[0], atol=2e-5, rtol=1e-4)
