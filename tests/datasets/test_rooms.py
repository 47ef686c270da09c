"""Procedural rooms: exact, deterministic, restartable, in the layout that the data sets read."""
import cv2
import numpy as np
import pytest

from cmim_mm.datasets.check import check_folder
from cmim_mm.datasets.layout import DataError
from cmim_mm.datasets.rooms import make_room, write_rooms
from cmim_mm.datasets.rooms_furniture import LABEL, Part
from cmim_mm.datasets.rooms_render import FOCAL, Camera, render
from cmim_mm.datasets.rooms_scene import Scene


def files(root):
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob('*')) if p.is_file()}


def empty_room(parts=()):
    white = np.ones(3)
    surfaces = {name: (LABEL[name], white, 'plain') for name in ('wall', 'floor', 'ceiling')}
    return Scene(np.array([4.0, 6.0, 2.5]), surfaces, np.array([2.0, 3.0, 2.4]), list(parts))


#: In the middle of the room at y = 1, level, looking along +y: columns are right, down, forward.
CAMERA = Camera(np.array([2.0, 1.0, 1.5]), np.array([[1.0, 0, 0], [0, 0, 1.0], [0, -1.0, 0]]))


def test_depth_and_labels_are_exact():
    box = Part((0, 0, 0), (1.0, 0.5, 2.0), LABEL['cabinet'], np.ones(3), 'plain', (1.5, 4.0, 0.0))
    height, width = 61, 81
    rng = np.random.default_rng(0)
    _, label, depth = render(empty_room([box]), CAMERA, height, width, rng)
    assert label[30, 40] == LABEL['cabinet'] and depth[30, 40] == pytest.approx(3.0, abs=1e-5)
    _, label, depth = render(empty_room(), CAMERA, height, width, rng)
    assert label[30, 40] == LABEL['wall'] and depth[30, 40] == pytest.approx(5.0, abs=1e-5)
    # A floor pixel v rows below the axis lies at depth = camera height * focal / v.
    below = 60 - 30
    assert label[60, 40] == LABEL['floor']
    assert depth[60, 40] == pytest.approx(min(1.5 * FOCAL * width / below, 5.0), rel=1e-5)
    assert set(np.unique(label)) <= {LABEL['wall'], LABEL['floor'], LABEL['ceiling']}


def test_turned_part_shows_its_side():
    """A cube turned by 45 degrees shows an edge: the middle is nearer than the rims by half a diagonal."""
    pose = ((2.0, 4.0, 0.0), np.pi / 4)
    cube = Part((-0.5, -0.5, 0), (0.5, 0.5, 2.0), LABEL['box'], np.ones(3), 'plain', *pose)
    _, label, depth = render(empty_room([cube]), CAMERA, 61, 81, np.random.default_rng(0))
    row = depth[30][label[30] == LABEL['box']]
    assert row.min() == pytest.approx(3 - np.sqrt(0.5), abs=0.03)
    assert row.max() == pytest.approx(3, abs=0.15)


@pytest.mark.parametrize('index', range(1, 7))
def test_rooms_are_sound(index):
    room = make_room(0, index, 60, 80)
    assert room['image'].shape == (60, 80, 3) and room['image'].dtype == np.uint8
    assert room['image'].std() > 10
    assert room['label40'].min() >= 1 and room['label40'].max() <= 40
    assert len(np.unique(room['label40'])) >= 5
    assert room['depth'].min() > 0.04 and room['depth'].max() < 10
    holes = room['raw_depth'] == 0
    assert 0 < holes.mean() < 0.6
    assert np.array_equal(room['raw_depth'][~holes], room['depth'][~holes])


def test_scenes_differ_and_repeat():
    first, again, second = make_room(3, 1, 48, 64), make_room(3, 1, 48, 64), make_room(3, 2, 48, 64)
    for key in first:
        assert np.array_equal(first[key], again[key])
    assert not np.array_equal(first['label40'], second['label40'])
    assert not np.array_equal(first['label40'], make_room(4, 1, 48, 64)['label40'])


def test_folder_is_sound_whatever_the_processes(tmp_path):
    write_rooms(tmp_path / 'one', num=11, size=(48, 64), seed=5, workers=1)
    write_rooms(tmp_path / 'two', num=11, size=(48, 64), seed=5, workers=2)
    one = files(tmp_path / 'one')
    assert one == files(tmp_path / 'two')
    assert check_folder(str(tmp_path / 'one')) == []
    assert one['test.txt'] == b'0005\n0010\n' and len(one['train.txt'].split()) == 9
    assert b'ynthetic' in one['README.txt']
    assert cv2.imread(str(tmp_path / 'one/depth/0001.png'), -1).dtype == np.uint16


def test_interrupted_run_goes_on(tmp_path):
    write_rooms(tmp_path / 'whole', num=6, size=(32, 48), workers=1)
    write_rooms(tmp_path / 'part', num=5, size=(32, 48), workers=1)
    (tmp_path / 'part/depth/0002.png').unlink()
    untouched = (tmp_path / 'part/image/0003.png').stat().st_mtime_ns
    write_rooms(tmp_path / 'part', num=6, size=(32, 48), workers=1)
    assert files(tmp_path / 'part') == files(tmp_path / 'whole')
    assert (tmp_path / 'part/image/0003.png').stat().st_mtime_ns == untouched


def test_foreign_folder_and_bad_sizes_are_refused(tmp_path):
    (tmp_path / 'photos').mkdir()
    (tmp_path / 'photos/mine.jpg').write_bytes(b'keep')
    with pytest.raises(DataError, match='photos.*not empty'):
        write_rooms(tmp_path / 'photos', num=5, size=(32, 48))
    assert files(tmp_path / 'photos') == {'mine.jpg': b'keep'}
    write_rooms(tmp_path / 'rooms', num=5, size=(32, 48), seed=0, workers=1)
    with pytest.raises(DataError, match="'seed': 0.*'seed': 1.*another folder"):
        write_rooms(tmp_path / 'rooms', num=5, size=(32, 48), seed=1)
    with pytest.raises(DataError, match='expected at least 5 scenes'):
        write_rooms(tmp_path / 'few', num=2)


def test_killed_before_the_first_scene(tmp_path, monkeypatch):
    """Whatever was made before the kill, the same call takes the folder for its own."""
    out = tmp_path / 'rooms'

    def killed(path, *args, **kwargs):
        if path.parent == out:
            raise KeyboardInterrupt
        return mkdir(path, *args, **kwargs)

    mkdir = type(out).mkdir
    with monkeypatch.context() as patch:
        patch.setattr(type(out), 'mkdir', killed)
        with pytest.raises(KeyboardInterrupt):
            write_rooms(out, num=5, size=(32, 48), workers=1)
    assert any(out.iterdir())
    write_rooms(out, num=5, size=(32, 48), workers=1)
    assert check_folder(str(out)) == []
