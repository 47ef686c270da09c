"""All that mmsegmentation documents of its Python API, with this project's configs, for both tasks."""
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from mmseg.apis import MMSegInferencer, inference_model, init_model, show_result_pyplot
from mmseg.structures import SegDataSample

from cmim_mm.datasets.nyud_meta import CLASSES, PALETTE
from cmim_mm.reader import read_image

KEYS = {'seg': 'pred_sem_seg', 'depth': 'pred_depth_map'}


@pytest.fixture(scope='module', params=KEYS)
def task(request):
    return request.param


@pytest.fixture(scope='module')
def files(task, repository, tmp_path_factory):
    """(config, checkpoint) of an untrained network."""
    init_default_scope('mmseg')
    config = repository / f'configs/nyud_{task}_bnn_quick.py'
    torch.manual_seed(0)
    weights = MODELS.build(Config.fromfile(config).model).state_dict()
    checkpoint = tmp_path_factory.mktemp(task) / 'weights.pth'
    meta = dict(dataset_meta=dict(classes=CLASSES[40], palette=PALETTE[40]))
    torch.save(dict(state_dict=weights, meta=meta), checkpoint)
    return str(config), str(checkpoint)


@pytest.fixture(scope='module')
def images(rooms_root):
    """A folder with images of two sizes alone, in the order of their names."""
    folder = rooms_root.parent / f'{rooms_root.name}_images'
    folder.mkdir(exist_ok=True)
    for name, width in (('0001', 96), ('0002', 70), ('0003', 96)):
        image = cv2.imread(str(rooms_root / f'image/{name}.png'))[:, :width]
        cv2.imwrite(str(folder / f'{name}.png'), image)
    return folder


@pytest.fixture(scope='module')
def expected(task, files, images):
    """What the network predicts of each image, alone: arrays of the image's size."""
    model = init_model(*files, device='cpu')
    samples = [inference_model(model, str(path)) for path in sorted(images.iterdir())]
    return [sample.get(KEYS[task]).data[0].numpy() for sample in samples]


FORMS = {
    'path': lambda paths: paths[0], 'array': lambda paths: read_image(paths[0]).pixels,
    'list of paths': lambda paths: paths, 'list of one': lambda paths: paths[:1],
    'tuple of paths': tuple, 'list of arrays': lambda paths: [read_image(path).pixels for path in paths],
    'Path': lambda paths: Path(paths[0]),
}


def check(found, expected):
    """Of one image or of several; groups of one size may round otherwise."""
    found = [found] if isinstance(found, np.ndarray) else found
    assert 0 < len(found) <= len(expected)
    for one, other in zip(found, expected):
        assert one.shape == other.shape
        if other.dtype.kind == 'f':
            np.testing.assert_allclose(one, other, rtol=1e-4)
        else:
            assert (one == other).mean() > 0.999


@pytest.mark.parametrize('form', FORMS)
def test_inference_model(task, files, images, expected, form):
    model = init_model(*files, device='cpu')
    given = FORMS[form](sorted(map(str, images.iterdir())))
    result = inference_model(model, given)
    assert isinstance(result, list) is isinstance(given, (list, tuple))
    samples = result if isinstance(result, list) else [result]
    assert len(samples) == (len(given) if isinstance(given, (list, tuple)) else 1)
    check([sample.get(KEYS[task]).data[0].numpy() for sample in samples], expected)


@pytest.mark.parametrize('config', [str, Path, Config.fromfile])
def test_init_model(files, config):
    options = {'model.decode_head.dropout_ratio': 0}
    model = init_model(config(files[0]), files[1], device='cpu', cfg_options=options)
    assert not model.training and model.dataset_meta['classes'] == CLASSES[40]
    assert model.cfg.model.decode_head.dropout_ratio == 0
    untrained = init_model(config(files[0]), device='cpu')
    assert untrained.state_dict().keys() == model.state_dict().keys()


@pytest.fixture(scope='module')
def inferencer(files):
    return MMSegInferencer(model=files[0], weights=files[1], device='cpu')


@pytest.mark.parametrize('batch_size', [1, 3])
@pytest.mark.parametrize('form', [
    'path', 'array', 'list of paths', 'list of one', 'list of arrays', 'mixed list', 'folder'])
def test_inferencer(inferencer, images, expected, form, batch_size):
    paths = sorted(map(str, images.iterdir()))
    given = str(images) if form == 'folder' else [paths[0], read_image(paths[1]).pixels, paths[2]] \
        if form == 'mixed list' else FORMS[form](paths)
    found = inferencer(given, batch_size=batch_size)['predictions']
    assert isinstance(found, np.ndarray) is (form in ('path', 'array', 'list of one'))
    if form == 'folder':  # in the file system's order
        assert len(found) == 3
        found, expected = [a for a in found if a.shape[1] == 70], expected[1:2]
    check(found, expected)


def test_inferencer_returns_samples_and_pictures(task, inferencer, images, expected):
    paths = sorted(map(str, images.iterdir()))
    sample = inferencer(paths[0], return_datasamples=True)
    assert isinstance(sample, SegDataSample)
    check(sample.get(KEYS[task]).data[0].numpy(), expected)
    assert len(inferencer(paths, return_datasamples=True)) == 3
    pictures = inferencer(paths[:2], return_vis=True, opacity=0.5, with_labels=False)['visualization']
    # Image and prediction side by side, enlarged to be readable.
    assert all(p.dtype == np.uint8 and p.shape[0] > 240 and p.shape[1] > 2 * 240 for p in pictures)


def test_inferencer_writes(task, inferencer, images, expected, tmp_path):
    paths = sorted(map(str, images.iterdir()))
    number = inferencer.num_pred_imgs
    inferencer(paths[:2], out_dir=str(tmp_path), img_out_dir='painted', pred_out_dir='maps')
    assert sorted(p.name for p in (tmp_path / 'painted').iterdir()) == ['0001.png', '0002.png']
    ending = '_pred.png' if task == 'seg' else '_pred.npy'
    written = [tmp_path / 'maps' / f'{number + i:08d}{ending}' for i in range(2)]
    check([cv2.imread(str(p), -1) if task == 'seg' else np.load(p) for p in written], expected)


def test_inferencer_with_names_of_its_own(files, images):
    classes = [f'class {i}' for i in range(40)]
    made = MMSegInferencer(
        model=files[0], weights=files[1], classes=classes, palette=PALETTE[40], device='cpu')
    assert list(made.visualizer.dataset_meta['classes']) == classes


@pytest.mark.parametrize('options', [
    {}, dict(draw_gt=False), dict(opacity=0.3, with_labels=False), dict(title='room'), dict(out_file='o.png'),
    dict(save_dir='folder')])
@pytest.mark.parametrize('form', ['path', 'array'])
def test_show_result_pyplot(files, images, options, form, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = init_model(*files, device='cpu')
    image = FORMS[form](sorted(map(str, images.iterdir())))
    picture = show_result_pyplot(model, image, inference_model(model, image), show=False, **options)
    assert picture.dtype == np.uint8 and picture.shape[1:] == (96, 3) and picture.std() > 0
    if 'out_file' in options:
        assert (tmp_path / 'o.png').stat().st_size > 0


def test_not_supported_as_documented(files, images):
    """docs/python.md: after an array, mmsegmentation's inference_model takes arrays alone."""
    model = init_model(*files, device='cpu')
    path = str(images / '0001.png')
    inference_model(model, read_image(path).pixels)
    with pytest.raises(KeyError, match='img'):
        inference_model(model, path)
