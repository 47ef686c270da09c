"""The one reader: what it reads right, what it refuses by name."""
import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from mmengine.registry import init_default_scope
from mmseg.registry import TRANSFORMS
from PIL import Image

from cmim_mm.data_error import DataError
from cmim_mm.reader import pairing_problem, read_depth, read_image, read_label

SIZE = (24, 32)
RGB = np.random.default_rng(0).integers(0, 256, (*SIZE, 3)).astype(np.uint8)
LABELS = np.add.outer(np.arange(SIZE[0]), np.arange(SIZE[1])).astype(np.uint8) % 41


def encoded(image, kind='PNG', orientation=None, **options):
    if orientation is not None:
        options['exif'] = Image.Exif()
        options['exif'][0x0112] = orientation
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def transparent(alpha):
    return Image.fromarray(np.dstack([RGB, np.full(SIZE, alpha, np.uint8)]))


def palette(array, colors=256):
    image = Image.fromarray(array, 'P')
    image.putpalette(np.random.default_rng(1).integers(0, 256, 3 * colors).astype(np.uint8).tobytes())
    return image


def packed_gray(array, bits):
    """A gray PNG of 1, 2 or 4 bits, which Pillow cannot write."""
    planes = np.unpackbits(array[..., None], axis=-1)[..., -bits:].reshape(len(array), -1)
    rows = b''.join(b'\0' + np.packbits(row).tobytes() for row in planes)

    def chunk(name, data):
        return struct.pack('>I', len(data)) + name + data + struct.pack('>I', zlib.crc32(name + data))

    header = struct.pack('>IIBBBBB', array.shape[1], array.shape[0], bits, 0, 0, 0, 0)
    return (b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + chunk(b'IDAT', zlib.compress(rows))
            + chunk(b'IEND', b''))


@pytest.fixture
def stored(tmp_path):
    def write(data, name='0001.png'):
        path = tmp_path / name
        path.write_bytes(data)
        return str(path)
    return write


GRAY = RGB[..., 0]
GRAY_AS_RGB = GRAY[..., None].repeat(3, 2)
READ = {
    'RGB': (encoded(Image.fromarray(RGB)), RGB),
    'gray': (encoded(Image.fromarray(GRAY)), GRAY_AS_RGB),
    'one bit': (encoded(Image.fromarray(GRAY > 127)), np.where(GRAY > 127, 255, 0)[..., None].repeat(3, 2)),
    'palette': (encoded(palette(GRAY)), np.asarray(palette(GRAY).convert('RGB'))),
    'opaque alpha': (encoded(transparent(255)), RGB),
    'opaque gray and alpha': (
        encoded(Image.fromarray(np.dstack([GRAY, np.full_like(GRAY, 255)]), 'LA')), GRAY_AS_RGB),
    '16 bits': (cv2.imencode('.png', GRAY.astype(np.uint16) * 257)[1].tobytes(), GRAY_AS_RGB),
    'lossless WebP': (encoded(Image.fromarray(RGB), 'WEBP', lossless=True), RGB),
    'BMP': (encoded(Image.fromarray(RGB), 'BMP'), RGB),
}


@pytest.mark.parametrize('kind', READ)
def test_reads_right(stored, kind):
    data, expected = READ[kind]
    pixels, orientation = read_image(stored(data))
    assert orientation == 1 and pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels[..., ::-1], expected)


PNG, JPEG = encoded(Image.fromarray(RGB)), encoded(Image.fromarray(RGB), 'JPEG')
flipped = bytearray(PNG)
flipped[len(PNG) // 2] ^= 0xFF
thumbnail = b'\xff\xe1' + (len(JPEG) + 2).to_bytes(2, 'big') + JPEG
REFUSED = {
    'empty': (b'', r'no readable image \(0 bytes'),
    'no image': (b'a web page instead', 'no readable image'),
    'truncated PNG': (PNG[:-20], 'no readable image'),
    'truncated JPEG': (JPEG[:-40], 'no readable image'),
    'truncated JPEG with a thumbnail': (JPEG[:2] + thumbnail + JPEG[2:-40], 'no readable image'),
    'damaged PNG': (bytes(flipped), 'no readable image'),
    'truncated WebP': (encoded(Image.fromarray(RGB), 'WEBP')[:-40], 'no readable image'),
    'transparent': (encoded(transparent(128)), 'transparent pixels'),
    'transparent palette': (encoded(palette(GRAY), transparency=int(GRAY[0, 0])), 'transparent pixels'),
    'CMYK': (encoded(Image.fromarray(RGB).convert('CMYK'), 'JPEG'), 'pixels of mode CMYK'),
    'float': (encoded(Image.fromarray(GRAY.astype(np.float32)), 'TIFF'), 'pixels of mode F'),
    'animation': (
        encoded(Image.fromarray(RGB), 'GIF', save_all=True, append_images=[Image.fromarray(255 - RGB)]),
        '2 frames'),
}


@pytest.mark.parametrize('kind', REFUSED)
def test_refuses_by_name_at_every_door(stored, kind):
    data, problem = REFUSED[kind]
    path = stored(data)
    with pytest.raises(DataError, match=f'0001.png: .*{problem}') as error:
        read_image(path)
    assert error.value.fault.path == path and '\n' not in str(error.value)
    init_default_scope('mmseg')
    pipelines = ({'type': 'LoadImageFromFile'}, {'type': 'InferencerLoader'})
    for pipeline, given in zip(pipelines, ({'img_path': path}, path)):
        with pytest.raises(DataError, match=f'0001.png: .*{problem}'):
            TRANSFORMS.build(pipeline)(given)
    assert TRANSFORMS.build(dict(type='LoadImageFromFile', ignore_empty=True))({'img_path': path}) is None


def test_missing_file_is_named(tmp_path):
    for read in (read_image, read_label, read_depth):
        with pytest.raises(DataError, match='none.png: cannot be read'):
            read(str(tmp_path / 'none.png'))


@pytest.mark.parametrize('kind', ['JPEG', 'PNG'])
@pytest.mark.parametrize('orientation', [1, 3, 6, 8])
def test_turns_as_the_flag_says(stored, kind, orientation):
    smooth = cv2.resize(RGB[::8, ::8], SIZE[::-1], interpolation=cv2.INTER_LINEAR)
    quality = {'quality': 98} if kind == 'JPEG' else {}
    path = stored(encoded(Image.fromarray(smooth), kind, orientation, **quality))
    turned = np.rot90(smooth, {1: 0, 3: 2, 6: 3, 8: 1}[orientation])
    pixels, flag = read_image(path)
    assert flag == orientation and pixels.shape == turned.shape
    assert np.abs(pixels[..., ::-1].astype(int) - turned).mean() < 3
    if orientation != 1:
        for read in (read_label, read_depth):
            with pytest.raises(DataError, match='0001.png: .*(EXIF orientation|in JPEG)'):
                read(path)


def test_loading_keeps_mmcvs_other_ways(stored):
    path = stored(encoded(transparent(7)))
    init_default_scope('mmseg')
    raw = TRANSFORMS.build(dict(type='LoadImageFromFile', color_type='unchanged'))(dict(img_path=path))
    assert raw['img'].shape == (*SIZE, 4) and (raw['img'][..., 3] == 7).all()
    path = stored(PNG)
    loaded = TRANSFORMS.build(dict(type='LoadImageFromFile', to_float32=True))(dict(img_path=path))
    assert loaded['img'].dtype == np.float32 and loaded['ori_shape'] == SIZE and loaded['orientation'] == 1


@pytest.mark.parametrize('data, expected', [
    (encoded(Image.fromarray(LABELS)), LABELS), (encoded(palette(LABELS)), LABELS),
    (encoded(palette(LABELS % 3, 3), bits=2), LABELS % 3),
    (encoded(palette(LABELS), transparency=0), LABELS),
    *((packed_gray(LABELS % 2**bits, bits), LABELS % 2**bits) for bits in (1, 2, 4)),
], ids=['gray', 'palette', 'palette of 2 bits', 'palette with transparency', 'gray1', 'gray2', 'gray4'])
def test_labels_are_the_stored_numbers(stored, data, expected):
    label = read_label(stored(data))
    assert label.dtype == np.uint8
    np.testing.assert_array_equal(label, expected)


@pytest.mark.parametrize('data, problem', [
    (encoded(Image.fromarray(LABELS), 'JPEG'), 'in JPEG, expected PNG'),
    (encoded(Image.fromarray(LABELS), 'WEBP', lossless=True), 'in WEBP, expected PNG'),
    (encoded(palette(LABELS).convert('RGB')), 'colours'), (encoded(transparent(255)), 'colours'),
    (cv2.imencode('.png', LABELS.astype(np.uint16))[1].tobytes(), 'type uint16, expected uint8'),
], ids=['JPEG', 'WebP', 'painted', 'alpha', '16 bits'])
def test_no_label_map(stored, data, problem):
    with pytest.raises(DataError, match=f'0001.png: .*{problem}'):
        read_label(stored(data))


@pytest.mark.parametrize('shape, size, orientation, problem', [
    (SIZE, SIZE, 1, None), (SIZE, SIZE, 6, None), (SIZE[::-1], SIZE, 6, 'turned as its EXIF orientation 6'),
    (SIZE[::-1], SIZE, 1, 'while its image has'), (SIZE, SIZE, 3, 'nothing shows'),
    (SIZE, SIZE, 2, 'nothing shows'), ((9, 9), (9, 9), 8, 'nothing shows'), ((9, 9), (9, 9), 1, None)])
def test_pairs_that_cannot_be_told_are_refused(shape, size, orientation, problem):
    found = pairing_problem(np.zeros(shape), size, orientation)
    assert found is None if problem is None else problem in found
