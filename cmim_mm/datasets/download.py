"""A download of one large file that survives interruptions."""
import http.client
import os
import shutil
import time
import urllib.error
import urllib.request

from mmengine.utils import ProgressBar

from .layout import DataError

_MIB = 1 << 20
_TRANSIENT = (408, 429)
_BROKEN = (http.client.HTTPException, OSError)


class DownloadError(DataError):
    """The file could not be had; the message says why and what to do."""


def download(url: str, path: str, size: int,
             retries: int = 5, pause: float = 2.0, timeout: float = 60.0) -> None:
    """Fetches ``url`` into ``path``, which appears only when complete.

    Until then the content grows in ``path + '.part'``; a later call goes on from
    there by an HTTP Range request, or from the start where the server knows none.
    A connection that breaks is taken up again; progress resets the count of tries.

    Args:
        url: http or https.
        path: Where the file goes; if it is there with the right size, nothing happens.
        size: What the file must have, bytes.
        retries: Failures in a row after which to give up.
        pause: Seconds before a new try, times the number of failures so far.
        timeout: Seconds without a byte that count as a broken connection.

    Raises:
        DownloadError: On a wrong size, an HTTP error, a full disk, or ``retries`` failures in a row.
    """
    if not url.startswith(('http://', 'https://')):
        raise DownloadError(f'{url}: not an http or https address')
    if os.path.exists(path):
        if os.path.getsize(path) == size:
            return
        raise DownloadError(f'{path} has {os.path.getsize(path):,} bytes, expected {size:,}. '
                            'Move or delete it first')
    part = f'{path}.part'
    folder = os.path.dirname(os.path.abspath(path))
    os.makedirs(folder, exist_ok=True)
    if _size(part) > size:
        os.remove(part)
    free, needed = shutil.disk_usage(folder).free, size - _size(part)
    if free < needed:
        raise DownloadError(f'{folder} has {free:,} bytes free, {path} needs {needed:,} more')

    bar = ProgressBar(max(1, needed // _MIB))  # counts MiB
    failures = 0
    while _size(part) < size:
        before = _size(part)
        try:
            _fetch(url, part, size, timeout, bar)
            problem = f'the connection ended at {_size(part):,} of {size:,} bytes'
        except urllib.error.HTTPError as e:
            if e.code == 416 and os.path.exists(part):  # the server's file is shorter than our part
                os.remove(part)
            elif e.code < 500 and e.code not in _TRANSIENT:
                raise DownloadError(f'{url}: HTTP {e.code} {e.reason}. Check the address, or give a mirror '
                                    'with --url') from e
            problem = f'HTTP {e.code} {e.reason}'
        except _BROKEN as e:
            problem = str(e) or type(e).__name__
        failures = 0 if _size(part) > before else failures + 1
        if _size(part) < size:
            if failures >= retries:
                raise DownloadError(f'{url}: {problem}; gave up after {failures} tries without progress. '
                                    f'Run the same command again: it goes on from {part}')
            time.sleep(pause * failures)
    print()
    os.replace(part, path)


def _size(path: str) -> int:
    return os.path.getsize(path) if os.path.exists(path) else 0


def _fetch(url: str, part: str, size: int, timeout: float, bar: ProgressBar) -> None:
    """One connection: appends to ``part`` what arrives, or writes it anew if the server ignores Range."""
    start = _size(part)
    request = urllib.request.Request(url, headers={'Range': f'bytes={start}-'} if start else {})
    with urllib.request.urlopen(request, timeout=timeout) as response:
        resumed = response.status == 206
        if resumed and not response.headers.get('Content-Range', '').startswith(f'bytes {start}-'):
            raise DownloadError(f"{url} answers a request from byte {start:,} with "
                                f"'{response.headers.get('Content-Range')}'. Delete {part} to start anew")
        length = response.headers.get('Content-Length')
        offered = int(length) + (start if resumed else 0) if length else size
        if offered != size:
            raise DownloadError(f'{url} offers {offered:,} bytes, expected {size:,}: not the file wanted. '
                                f'Give another --url; if this one is right, delete {part}')
        with open(part, 'ab' if resumed else 'wb') as f:
            written = 0
            for chunk in iter(lambda: response.read1(_MIB), b''):
                f.write(chunk)
                if f.tell() > size:
                    break
                mib = (written + len(chunk)) // _MIB - written // _MIB
                written += len(chunk)
                if mib:
                    bar.update(mib)
    if _size(part) > size:
        os.remove(part)
        raise DownloadError(f'{url} sends more than the {size:,} bytes expected: not the file wanted. '
                            'Give another --url')
