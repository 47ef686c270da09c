"""The scan of a data folder, the sample of it at every start, and the tool."""
import re
import runpy
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from fake_cifar import write_class_folders
from mmengine.dataset import ConcatDataset
from mmengine.registry import init_default_scope
from PIL import Image
from torch.utils.data import TensorDataset

from cmim_mm.datasets import ImageFolder, NYUDDepthDataset, NYUDSegDataset, SeededDataset
from cmim_mm.datasets.check import check_datasets, check_folder
from cmim_mm.datasets.layout import DataError, MissingDataError
from cmim_mm.engine.cli import run
from cmim_mm.registry import HOOKS


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmseg')


def overwrite(name, array):
    def spoil(root):
        path = root / name
        if isinstance(array, bytes):
            path.write_bytes(array)
        else:
            suffix = '.tiff' if array.dtype == np.float32 else '.png'
            path.write_bytes(cv2.imencode(suffix, array)[1].tobytes())
    return spoil


def truncate(name):
    return lambda root: (root / name).write_bytes((root / name).read_bytes()[:-30])


def unlabel(*names):
    def spoil(root):
        for name in names:
            overwrite(f'label40/{name}.png', np.zeros((12, 16), np.uint8))(root)
    return spoil


ONES = np.ones((12, 16), np.float32)


def listing(name, text):
    return lambda root: (root / name).write_text(text)


FAULTS = {
    'unreadable image': (
        overwrite('image/0002.png', b'\x89PNG broken'), 'image/0002.png: no readable image'),
    'empty file': (overwrite('depth/0003.png', b''), 'depth/0003.png: no readable image'),
    'label range': (
        overwrite('label40/0002.png', np.uint8(77 * ONES)), r'label40/0002.png: labels out of range: \[77\]'),
    'label type': (overwrite('label40/0002.png', np.uint16(7 * ONES)), 'label40/0002.png: type uint16'),
    'label size': (
        overwrite('label40/0001.png', np.ones((12, 8), np.uint8)), r'label40/0001.png: shape \(12, 8\)'),
    'depth size': (
        overwrite('depth/0001.png', np.ones((6, 16), np.uint16)), r'depth/0001.png: shape \(6, 16\)'),
    'raw size': (overwrite('raw_depth/0001.png', np.ones((6, 16), np.uint16)), 'raw_depth/0001.png: shape'),
    'empty depth': (overwrite('depth/0004.png', np.uint16(0 * ONES)), 'depth/0004.png: empty'),
    'NaN depth': (
        overwrite('depth/0004.png', np.nan * ONES), r'depth/0004.png: type float32 \(192 NaN and 0 negative'),
    'negative depth': (overwrite('depth/0004.png', -ONES), r'0 NaN and 192 negative'),
    '8-bit depth': (overwrite('depth/0004.png', np.uint8(ONES)), 'depth/0004.png: type uint8'),
    'missing frame': (listing('test.txt', '0005\n0042\n'), 'image/0042.png: missing, but named in'),
    'missing list': (lambda r: (r / 'test.txt').unlink(), 'test.txt: no such list'),
    'missing folder': (lambda r: (r / 'depth').rename(r / 'depths'), 'depth: no such folder'),
    'duplicate': (listing('train.txt', '0001\n0001\n'), 'train.txt: names frame 0001 2 times'),
    'JPEG label': (
        overwrite('label40/0002.png', cv2.imencode('.jpg', np.uint8(7 * ONES))[1].tobytes()),
        'label40/0002.png: a label map in JPEG, expected PNG'),
    'label in colour': (
        overwrite('label40/0002.png', np.ones((12, 16, 3), np.uint8)), 'label40/0002.png: colours'),
    'truncated image': (truncate('image/0003.png'), 'image/0003.png: no readable image'),
    'no label in training': (
        unlabel('0001', '0002', '0003', '0004'), 'train.txt: no pixel of its 4 frames has a label'),
    'no label in testing': (unlabel('0005', '0006'), 'test.txt: no pixel of its 2 frames has a label'),
    'overlap': (listing('test.txt', '0001\n0005\n'), 'test.txt: 1 frames are in .*train.txt.*0001'),
}


def test_sound_folders_pass(make_folder):
    assert check_folder(str(make_folder())) == []


def test_sound_folder_without_raw_depth_passes(make_folder):
    assert check_folder(str(make_folder(raw=False, suffix='.jpg'))) == []


@pytest.mark.parametrize('kind', FAULTS)
def test_scan_names_each_fault_once(folder, kind):
    spoil, pattern = FAULTS[kind]
    spoil(folder)
    faults = check_folder(str(folder))
    assert len([f for f in faults if re.search(pattern, str(f))]) == 1, faults
    assert all(f.remedy for f in faults)


def test_scan_finds_all_of_several_faults(folder):
    kinds = ['unreadable image', 'empty depth', 'label size', 'missing frame', 'overlap']
    for kind in kinds[:-1]:
        FAULTS[kind][0](folder)
    (folder / 'train.txt').write_text('0001\n0002\n0003\n0004\n0005\n')
    text = '\n'.join(map(str, check_folder(str(folder))))
    for kind in kinds[:-1]:
        assert re.search(FAULTS[kind][1], text)
    assert 'test.txt: 1 frames are in' in text


def test_scan_without_data(tmp_path):
    with pytest.raises(MissingDataError):
        check_folder(str(tmp_path / 'none'))


def turned(root, orientation, label_too):
    """Puts a JPEG with an EXIF flag in the place of frame 1, and turns its label with it or not."""
    stored = cv2.imread(str(root / 'image/0001.png'))
    (root / 'image/0001.png').unlink()
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(stored[..., ::-1]).save(root / 'image/0001.jpg', exif=exif)
    if label_too:
        for kind in ('label40', 'depth', 'raw_depth'):
            path = str(root / kind / '0001.png')
            cv2.imwrite(path, np.rot90(cv2.imread(path, -1), -1))


@pytest.mark.parametrize('orientation, label_too, sound', [
    (1, False, True), (6, True, True), (6, False, False), (3, False, False)])
def test_checker_and_loader_agree_on_turned_images(folder, orientation, label_too, sound):
    turned(folder, orientation, label_too)
    pipeline = [dict(type='LoadImageFromFile'), dict(type='cmim_mm.LoadNYUDLabel'),
                dict(type='cmim_mm.LoadNYUDDepth')]
    dataset = NYUDSegDataset(data_root=str(folder), pipeline=pipeline)
    assert (check_folder(str(folder)) == []) is sound
    if sound:
        check_datasets([dataset], 8)
        sample = dataset[0]
        assert sample['img'].shape[:2] == sample['gt_seg_map'].shape == sample['gt_depth_map'].shape
    else:
        for look in (lambda: check_datasets([dataset], 8), lambda: dataset[0]):
            with pytest.raises(DataError, match=f'label40/0001.png: .*EXIF orientation {orientation}'):
                look()


def test_palette_labels_train_on_their_indices(folder):
    path = folder / 'label40/0001.png'
    stored = cv2.imread(str(path), -1)
    image = Image.fromarray(stored, 'P')
    image.putpalette([i * 7 % 256 for i in range(3 * 256)])
    image.save(path)
    assert check_folder(str(folder)) == []
    pipeline = [dict(type='LoadImageFromFile'), dict(type='cmim_mm.LoadNYUDLabel')]
    loaded = NYUDSegDataset(data_root=str(folder), pipeline=pipeline)[0]['gt_seg_map']
    np.testing.assert_array_equal(loaded, np.where(stored == 0, 255, stored.astype(int) - 1))


def test_no_label_of_the_classes_kept_is_refused(folder):
    for n in range(1, 7):
        overwrite(f'label40/{n:04d}.png', np.full((12, 16), 1 + n % 2, np.uint8))(folder)  # wall, floor
    kept = NYUDSegDataset(data_root=str(folder), metainfo=dict(classes=('floor', 'bed')))
    check_datasets([kept], 2)
    none = NYUDSegDataset(data_root=str(folder), metainfo=dict(classes=('sofa', 'bed')))
    with pytest.raises(DataError, match='train.txt: no pixel of its 4 frames has a label of a class'):
        check_datasets([none], 2)
    check_datasets([NYUDDepthDataset(data_root=str(folder))], 2)


def test_unlikely_values_are_logged(folder, monkeypatch):
    for n in range(1, 7):
        path = str(folder / f'depth/{n:04d}.png')
        cv2.imwrite(path, np.clip(cv2.imread(path, -1).astype(int) * 6, 0, 65535).astype(np.uint16))
    logged = []
    monkeypatch.setattr('cmim_mm.datasets.check.print_log', lambda text, *args: logged.append(text))
    check_datasets([NYUDDepthDataset(data_root=str(folder))], 8)
    assert any('train.txt, 4 of its frames: the median depth is' in text for text in logged)
    assert any('raw depth' in text for text in logged) is False  # training reads none


def test_class_folders(tmp_path):
    write_class_folders(tmp_path)
    dataset = SeededDataset(ImageFolder(str(tmp_path)))
    check_datasets([dataset], 8)
    (tmp_path / 'train/cat/3.png').write_bytes(b'')
    with pytest.raises(DataError, match=r'train/cat/3.png: no readable image \(0 bytes'):
        check_datasets([dataset], 8)


def wrapped(root):
    seg = NYUDSegDataset(data_root=str(root), ann_file='train.txt')
    depth = NYUDDepthDataset(data_root=str(root), ann_file='test.txt', test_mode=True)
    return SeededDataset(ConcatDataset([seg, dict(type='RepeatDataset', times=2, dataset=depth)]))


def test_sample_reaches_through_wrappers(folder):
    dataset = wrapped(folder)
    check_datasets([dataset, TensorDataset()], 8)
    overwrite('raw_depth/0006.png', np.ones((3, 3), np.uint16))(folder)
    with pytest.raises(DataError, match='raw_depth/0006.png: shape.*\n.*check_dataset.py --data-root'):
        check_datasets([dataset], 8)


def test_hook_checks_before_training_and_testing(folder):
    hook = HOOKS.build(dict(type='cmim_mm.CheckDatasetHook', num_samples=4))
    loop = SimpleNamespace(dataloader=SimpleNamespace(dataset=wrapped(folder)))
    train = SimpleNamespace(train_loop=loop, val_loop=None)
    val = SimpleNamespace(train_loop=SimpleNamespace(dataloader=SimpleNamespace(dataset=[])), val_loop=loop)
    test = SimpleNamespace(test_dataloader=loop.dataloader)
    state = np.random.get_state()[1].copy()
    hook.before_train(train), hook.before_train(val), hook.before_test(test)
    assert (np.random.get_state()[1] == state).all()
    overwrite('label40/0004.png', np.full((12, 16), 200, np.uint8))(folder)
    for call, runner in ((hook.before_train, train), (hook.before_train, val), (hook.before_test, test)):
        with pytest.raises(DataError, match='label40/0004.png: labels out of range'):
            call(runner)


def test_tool(folder, repository, tmp_path, capsys):
    main = runpy.run_path(str(repository / 'tools/misc/check_dataset.py'))['main']
    config = tmp_path / 'config.py'
    config.write_text(
        "train_dataloader = dict(dataset=dict(type='cmim_mm.SeededDataset', dataset=dict(\n"
        "    type='cmim_mm.NYUDDepthDataset', data_root='data/none', ann_file='train.txt', pipeline=[])))\n")
    (folder / 'test.txt').write_text('0006\n')
    overwrite('depth/0006.png', b'')(folder)
    run(lambda: main([str(config), '--data-root', str(folder)]))  # the config trains only
    assert '0 faults' in capsys.readouterr().out
    with pytest.raises(SystemExit) as e:
        run(lambda: main(['--data-root', str(folder)]))
    assert e.value.code == 1 and 'depth/0006.png: no readable image' in capsys.readouterr().out


def test_tool_warns_and_scans_class_folders(folder, repository, tmp_path, capsys):
    main = runpy.run_path(str(repository / 'tools/misc/check_dataset.py'))['main']
    for n in range(1, 7):
        overwrite(f'depth/{n:04d}.png', np.uint16(15000 * ONES))(folder)
    main(['--data-root', str(folder)])
    out = capsys.readouterr().out
    assert re.search('warning: .*nyud: the median depth is 15 m.*\n.*0 faults, [34] warnings', out, re.S)
    write_class_folders(tmp_path / 'classes')
    (tmp_path / 'classes/val/bee/2.png').write_bytes(b'')
    config = tmp_path / 'config.py'
    config.write_text("val_dataloader = dict(dataset=dict(type='cmim_mm.ImageFolder', split='val', "
                      "data_root='data/none', pipeline=[]))\n")
    with pytest.raises(SystemExit):
        run(lambda: main([str(config), '--data-root', str(tmp_path / 'classes')]))
    out = capsys.readouterr().out
    assert 'val/bee/2.png: no readable image (0 bytes' in out and 'val: 1 faults' in out
