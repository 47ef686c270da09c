"""Downloads from a local server that behaves, or misbehaves, as servers do."""
import io
import os
import re
import runpy
import socket
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from mmengine.utils import ProgressBar

from cmim_mm.datasets import download as module
from cmim_mm.datasets.download import DownloadError, download
from cmim_mm.engine.cli import run

DATA = np.random.default_rng(0).integers(0, 256, 3_500_000, dtype=np.uint8).tobytes()


class Handler(BaseHTTPRequestHandler):
    """Serves ``server.data``; ``server.cuts`` are byte counts after which connections break, one by one."""

    def do_GET(self):
        server = self.server
        server.ranges.append(self.headers.get('Range'))
        if server.errors:
            return self.send_error(server.errors.pop(0))
        start = 0
        if server.ranged and self.headers.get('Range'):
            start = int(re.fullmatch(r'bytes=(\d+)-', self.headers['Range'])[1])
            self.send_response(206)
            size = len(server.data)
            self.send_header('Content-Range', f'bytes {start + server.shift}-{size - 1}/{size}')
        else:
            self.send_response(200)
        body = server.data[start:]
        if server.length:
            self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        if server.cuts:
            self.wfile.write(body[:server.cuts.pop(0)])
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
        else:
            self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    server.handle_error = lambda *args: None  # a client that has seen enough hangs up
    server.data, server.ranged, server.length = DATA, True, True
    server.shift = 0
    server.cuts, server.errors, server.ranges = [], [], []
    server.url = f'http://127.0.0.1:{server.server_port}/nyu.mat'
    thread = threading.Thread(target=server.serve_forever, args=(0.01, ), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / 'sub/nyu.mat')


def fetch(server, path, **kwargs):
    download(server.url, path, kwargs.pop('size', len(DATA)), pause=0, timeout=5, **kwargs)


def saved(path):
    with open(path, 'rb') as f:
        return f.read()


def part_of(path, count):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(f'{path}.part', 'wb') as f:
        f.write(DATA[:count])


@pytest.mark.parametrize('length', [True, False])
def test_whole(server, path, length, monkeypatch):
    server.length, screen = length, io.StringIO()
    monkeypatch.setattr(module, 'ProgressBar', partial(ProgressBar, file=screen))
    fetch(server, path)
    assert saved(path) == DATA and os.listdir(os.path.dirname(path)) == ['nyu.mat']
    assert '3/3' in screen.getvalue() and 'ETA' in screen.getvalue()


def test_resumes_a_partial_file(server, path):
    part_of(path, 2_000_001)
    fetch(server, path)
    assert saved(path) == DATA and server.ranges == ['bytes=2000001-']


def test_starts_anew_where_the_server_knows_no_range(server, path):
    server.ranged = False
    part_of(path, 2_000_001)
    fetch(server, path)
    assert saved(path) == DATA


@pytest.mark.parametrize('ranged', [True, False])
def test_goes_on_after_a_cut_connection(server, path, ranged):
    server.ranged, server.cuts = ranged, [1_200_000, 1_300_000]
    fetch(server, path)
    assert saved(path) == DATA and len(server.ranges) == 3
    if ranged:
        assert server.ranges == [None, 'bytes=1200000-', 'bytes=2500000-']


def test_goes_on_after_a_server_error(server, path):
    server.errors = [503, 500]
    fetch(server, path)
    assert saved(path) == DATA


def test_gives_up_but_keeps_what_it_has(server, path):
    server.cuts = [700_000] + [0] * 9
    with pytest.raises(DownloadError, match='ended at 700,000 of 3,500,000 bytes; gave up after 3 tries'):
        fetch(server, path, retries=3)
    assert saved(f'{path}.part') == DATA[:700_000] and not os.path.exists(path)
    server.cuts = []
    fetch(server, path)
    assert saved(path) == DATA


def test_complete_part_is_only_renamed(server, path):
    part_of(path, len(DATA))
    fetch(server, path)
    assert saved(path) == DATA and server.ranges == []


def test_part_that_is_too_long_starts_anew(server, path):
    os.makedirs(os.path.dirname(path))
    with open(f'{path}.part', 'wb') as f:
        f.write(DATA + b'more')
    fetch(server, path)
    assert saved(path) == DATA and server.ranges == [None]


def test_finished_file_is_kept(server, path):
    fetch(server, path)
    fetch(server, path)
    assert len(server.ranges) == 1


def test_file_of_another_size_is_not_overwritten(server, path):
    os.makedirs(os.path.dirname(path))
    with open(path, 'wb') as f:
        f.write(b'mine')
    with pytest.raises(DownloadError, match='has 4 bytes, expected 3,500,000'):
        fetch(server, path)
    assert saved(path) == b'mine' and server.ranges == []


@pytest.mark.parametrize('size', [len(DATA) - 1, len(DATA) + 1])
@pytest.mark.parametrize('start', [0, 1000])
def test_wrong_size_is_refused_before_the_download(server, path, size, start):
    part_of(path, start)
    with pytest.raises(DownloadError, match=f'offers 3,500,000 .* {size:,}'):
        fetch(server, path, size=size)
    assert os.path.getsize(f'{path}.part') == start and not os.path.exists(path)


def test_more_than_expected_without_a_stated_length(server, path):
    server.length = False
    with pytest.raises(DownloadError, match='sends more than the 1,000 bytes expected'):
        fetch(server, path, size=1000)
    assert os.listdir(os.path.dirname(path)) == []


def test_part_that_the_server_cannot_follow_starts_anew(server, path):
    part_of(path, 1000)
    server.errors = [416]
    fetch(server, path)
    assert saved(path) == DATA and server.ranges == ['bytes=1000-', None]


def test_answer_to_another_range_is_refused(server, path):
    part_of(path, 1000)
    server.shift = 5
    with pytest.raises(DownloadError, match="from byte 1,000 with 'bytes 1005-3499999/3500000'"):
        fetch(server, path)
    assert saved(f'{path}.part') == DATA[:1000]


def test_other_schemes_are_refused(path):
    with pytest.raises(DownloadError, match='not an http or https address'):
        download('nyu.mat', path, 10)


@pytest.mark.parametrize('code', [403, 404])
def test_client_errors_are_final(server, path, code):
    server.errors = [code]
    with pytest.raises(DownloadError, match=f'HTTP {code}.*--url'):
        fetch(server, path)
    assert len(server.ranges) == 1


def test_nobody_there(path):
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        url = f'http://127.0.0.1:{free.getsockname()[1]}/x'
        with pytest.raises(DownloadError, match='gave up after 2 tries'):
            download(url, path, 10, retries=2, pause=0, timeout=5)


def test_full_disk(server, path):
    with pytest.raises(DownloadError, match='needs .* more'):
        fetch(server, path, size=1 << 62)


def test_tool_refuses_a_file_of_the_wrong_size(server, repository, tmp_path, capsys):
    """Only the official size will do, so a mirror cannot slip in another file."""
    main = runpy.run_path(str(repository / 'tools/dataset_converters/nyud.py'))['main']
    out = tmp_path / 'out'
    with pytest.raises(SystemExit) as e:
        run(lambda: main([str(tmp_path / 'nyu.mat'), '-o', str(out), '--download', '--url', server.url]))
    assert e.value.code == 1 and not out.exists()
    assert 'offers 3,500,000 bytes, expected 2,972,037,809' in capsys.readouterr().err
