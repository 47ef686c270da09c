"""The one reader of image, label and depth files.

Loader, checker, class folders, inference and painting all read through these functions, so that what the
checker accepts is what training sees. A file is read right or refused by its name: nothing is guessed.
"""
import io
from typing import NamedTuple, Optional

import cv2
import numpy as np
from mmengine import fileio
from PIL import Image

from cmim_mm.data_error import DataError

_ORIENTATION = 0x0112
#: Modes (Pillow's names) that become 8-bit RGB without loss.
_MODES = ('1', 'L', 'P', 'RGB', 'LA', 'PA', 'RGBA')
UPRIGHT = 'Save it upright, without the EXIF flag'


class Picture(NamedTuple):
    """An image as training sees it.

    Attributes:
        pixels: uint8 (H, W, 3), BGR, turned as its EXIF flag says.
        orientation: The EXIF flag, 1 (upright) to 8.
    """
    pixels: np.ndarray
    orientation: int


class _Header(NamedTuple):
    format: str
    mode: str
    bits: int
    transparent: bool
    orientation: int


def read_bytes(path: str, backend_args: Optional[dict] = None) -> bytes:
    """A file's content, of any of MMEngine's storage back ends.

    Raises:
        DataError: It cannot be read.
    """
    try:
        return fileio.get(path, backend_args=backend_args)
    except OSError as e:
        raise DataError.one(path, f'cannot be read ({e.strerror or e})',
                            'Run the converter again, which adds what is missing, or mend the path') from e


def read_image(path: str, backend_args: Optional[dict] = None) -> Picture:
    """Reads an image: RGB, gray or palette, opaque, one frame; of a PNG of 16 bits the upper 8.

    Raises:
        DataError: The file is missing, empty, truncated or no image, or holds what 8-bit RGB would change
            without a word: floats, CMYK, transparency, several frames.
    """
    data = read_bytes(path, backend_args)
    header = _header(path, data)
    if header.format != 'PNG' and header.mode not in _MODES:
        raise DataError.one(path, f'pixels of mode {header.mode}, expected RGB or gray', 'Convert it to RGB')
    if header.transparent:
        alpha = _decode(path, data, cv2.IMREAD_UNCHANGED)[..., -1]
        if alpha.min() < np.iinfo(alpha.dtype).max:
            raise DataError.one(path, 'transparent pixels, of no certain colour', 'Save it without alpha')
    return Picture(_decode(path, data, cv2.IMREAD_COLOR), header.orientation)


def read_label(path: str) -> np.ndarray:
    """Reads a label map as stored, uint8 (H, W): a PNG of gray values, or of palette indices.

    Raises:
        DataError: The file is unreadable, of another format (JPEG changes labels), holds colours or more
            than 8 bits, or asks to be turned.
    """
    data = read_bytes(path)
    header = _header(path, data)
    if header.format != 'PNG':
        raise DataError.one(path, f'a label map in {header.format}, expected PNG, which keeps each label',
                            'Make it again from its source as PNG: a lossy copy is damaged for good')
    _require_upright(path, header)
    if header.bits > 8:
        raise DataError.one(path, f'type uint{header.bits}, expected uint8')
    if header.mode not in ('1', 'L', 'P'):
        raise DataError.one(path, f'colours (mode {header.mode}), expected one channel of label numbers',
                            'Store the numbers: as gray values, or as indices of a palette')
    with Image.open(io.BytesIO(data)) as image:
        stored = np.asarray(image).astype(np.uint8)
    # Pillow spreads gray values of 2 and 4 bits over 0 to 255.
    return stored // (255 // (2**header.bits - 1)) if header.mode == 'L' else stored


def read_depth(path: str) -> np.ndarray:
    """Reads a depth map as stored; its type and shape are the caller's to judge (``depth_problem``).

    Raises:
        DataError: The file is unreadable, or asks to be turned.
    """
    data = read_bytes(path)
    _require_upright(path, _header(path, data))
    return _decode(path, data, cv2.IMREAD_UNCHANGED)


def pairing_problem(array: np.ndarray, size: tuple[int, int], orientation: int) -> Optional[str]:
    """Why a map cannot belong to an image of ``size`` = (H, W) after turning, if it cannot.

    A map has no EXIF flag of its own. Where the image's says turn by 90 degrees, the map's shape shows
    whether it is turned too; elsewhere nothing does, and the pair is refused.
    """
    if array.shape != tuple(size):
        turned = f', turned as its EXIF orientation {orientation} says' if orientation != 1 else ''
        return f'shape {array.shape}, while its image has {tuple(size)}{turned}'
    if orientation in (2, 3, 4) or (orientation > 4 and size[0] == size[1]):
        return (f'its image has EXIF orientation {orientation}, and nothing shows whether this map is turned '
                'too; save the image upright, without the flag')
    return None


def _require_upright(path: str, header: _Header) -> None:
    if header.orientation != 1:
        raise DataError.one(path, f'EXIF orientation {header.orientation}, which no label or depth map has',
                            UPRIGHT)


def _header(path: str, data: bytes) -> _Header:
    """What a file says of itself, and whether all of it is there; decodes nothing of PNG and JPEG."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            kind, mode, frames = image.format, image.mode, getattr(image, 'n_frames', 1)
            transparent = 'transparency' in image.info or mode in ('LA', 'PA', 'RGBA')
            if kind == 'PNG':
                image.verify()  # the check sums of all chunks, to the last
            elif kind in ('JPEG', 'MPO'):
                _find_end_of_jpeg(data)
            else:
                image.load()
        with Image.open(io.BytesIO(data)) as image:
            # Pillow decodes a PNG before it looks for EXIF.
            exif = image.getexif() if kind != 'PNG' or b'eXIf' in data else {}
    except Exception as e:  # decoders fail in every way there is
        raise _unreadable(path, data, 'empty' if not data else str(e).partition(':')[0]) from e
    if frames > 1 and kind != 'MPO':  # phones put a preview behind a JPEG's image
        raise DataError.one(path, f'{frames} frames, expected one image', 'Save the one frame that is meant')
    bits = data[24] if kind == 'PNG' else {'1': 1, 'I;16': 16, 'I;16B': 16, 'I': 32, 'F': 32}.get(mode, 8)
    orientation = exif.get(_ORIENTATION, 1)
    return _Header(kind, mode, bits, transparent, orientation if orientation in range(1, 9) else 1)


def _unreadable(path: str, data: bytes, reason: str) -> DataError:
    return DataError.one(path, f'no readable image ({len(data):,} bytes; {reason})')


def _find_end_of_jpeg(data: bytes) -> None:
    """Raises unless the image's own end marker is there (a thumbnail in a header has one too)."""
    position = 2
    while data[position] == 0xFF and data[position + 1] != 0xDA:  # segments before the pixels
        if data[position + 1] == 0xFF:  # a fill byte
            position += 1
            continue
        position += 2 + int.from_bytes(data[position + 2:position + 4], 'big')
    if data.find(b'\xff\xd9', position) < 0:
        raise ValueError('truncated')


def _decode(path: str, data: bytes, flag: int) -> np.ndarray:
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    if pixels is None:
        raise _unreadable(path, data, 'OpenCV cannot decode it')
    return pixels
