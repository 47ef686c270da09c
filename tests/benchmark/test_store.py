"""The folder of a grid survives kills, other callers and other grids."""
import json
import multiprocessing
import os
import signal

import pytest

from cmim_mm.benchmark.machine import data_fingerprint
from cmim_mm.benchmark.store import FORMAT, Store, StoreError
from cmim_mm.version import __version__

fork = multiprocessing.get_context('fork')


def manifest(runs=('a', 'b'), data=None, **changes):
    return {'format': FORMAT, 'versions': {'cmim_mm': __version__}, 'data': data or {},
            'runs': {name[0]: {'digest': name} for name in runs}, **changes}


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / 'grid')


def test_records_are_the_last_line_of_each_run(store):
    store.folder.mkdir()
    assert store.records() == {} and store.attempts('a') == 0
    for status in ('failed', 'finished'):
        store.append({'run': 'a', 'status': status})
    store.append({'run': 'b', 'status': 'finished'})
    other = Store(store.folder)
    assert {name: record['status'] for name, record in other.records().items()} == {
        'a': 'finished', 'b': 'finished'}
    assert other.attempts('a') == 2
    store.append({'run': 'c', 'status': 'finished'})
    assert 'c' in other.records()  # what was added since


@pytest.mark.parametrize('tail', [
    b'{"run": "c", "sta', b'{"run"', b'\xff\xfe', b'[1, 2]', b'{"status": "finished"}'])
def test_a_torn_last_line_loses_nothing_else(store, tail):
    store.folder.mkdir()
    store.append({'run': 'a', 'status': 'finished'})
    with open(store.folder / 'results.jsonl', 'ab') as file:
        file.write(tail)
    assert set(Store(store.folder).records()) == {'a'}
    store.append({'run': 'b', 'status': 'finished'})
    after = Store(store.folder)
    assert set(after.records()) == {'a', 'b'} and after.torn == 1


def append_many(folder, who):
    store = Store(folder)
    for i in range(50):
        store.append({'run': f'{who}{i}', 'status': 'finished', 'text': 'x' * 5000})


def test_lines_of_several_processes_stay_whole(store):
    store.folder.mkdir()
    processes = [fork.Process(target=append_many, args=(store.folder, who)) for who in 'abc']
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert len(store.records()) == 150 and store.torn == 0


def hold(folder, ready):
    with Store(folder).claim('a') as mine:
        ready.put(mine)
        signal.pause()


def test_one_process_has_a_run_until_it_dies(store):
    ready = fork.Queue()
    holder = fork.Process(target=hold, args=(store.folder, ready))
    holder.start()
    assert ready.get(timeout=30)
    assert store.running('a')['pid'] == holder.pid and store.running('b') is None
    with store.claim('a') as mine:
        assert not mine
    os.kill(holder.pid, signal.SIGKILL)
    holder.join()
    assert store.running('a') is None
    with store.claim('a') as mine:
        assert mine


def test_a_grid_may_grow(store):
    store.claim_folder(manifest('ab'), {'runs/a/config.py': 'x = 1\n'})
    store.claim_folder(manifest('abc'), {})
    assert set(store.manifest()['runs']) == {*'abc'}
    assert (store.folder / 'runs/a/config.py').read_text() == 'x = 1\n'


@pytest.mark.parametrize('changed, message', [
    (manifest('a'), 'this one lacks b'),
    (manifest(['a', 'b with another option']), 'other options, which change b'),
    (manifest('ab', data={'rooms': 'other'}), 'rooms: the data changed')])
def test_another_grid_is_refused(store, changed, message):
    store.claim_folder(manifest('ab', data={'rooms': 'one'}), {})
    before = (store.folder / 'manifest.json').read_bytes()
    with pytest.raises(StoreError, match=message):
        store.claim_folder(changed, {'runs/b/config.py': 'never written'})
    assert (store.folder / 'manifest.json').read_bytes() == before
    assert not (store.folder / 'runs').exists()


@pytest.mark.parametrize('text, message', [
    ('', 'is no manifest'), ('[]', 'is no manifest'), ('{"format": 1}', 'is no manifest'),
    (json.dumps(manifest(versions={'cmim_mm': '0.0.1'})), 'written by cmim_mm 0.0.1'),
    (json.dumps(manifest(format=99)), 'in format 99')])
def test_another_version_is_refused(store, text, message):
    store.folder.mkdir()
    (store.folder / 'manifest.json').write_text(text)
    for use in (store.manifest, lambda: store.claim_folder(manifest(), {})):
        with pytest.raises(StoreError, match=message):
            use()


def test_a_folder_without_manifest(store):
    with pytest.raises(StoreError, match='holds no manifest.json'):
        store.manifest()
    store.folder.mkdir()
    store.append({'run': 'a', 'status': 'finished'})
    with pytest.raises(StoreError, match='no manifest.json that says of what'):
        store.claim_folder(manifest(), {})


def test_fingerprint_sees_files_sizes_and_lists(tmp_path):
    (tmp_path / 'image').mkdir()
    (tmp_path / 'image/1.png').write_bytes(b'12')
    (tmp_path / 'train.txt').write_text('1\n')
    first = data_fingerprint(tmp_path)
    assert first == data_fingerprint(str(tmp_path))
    for path, content in (('image/1.png', b'123'), ('image/2.png', b''), ('train.txt', b'2\n')):
        old = (tmp_path / path).read_bytes() if (tmp_path / path).exists() else None
        (tmp_path / path).write_bytes(content)
        assert data_fingerprint(tmp_path) != first, path
        if old is None:
            (tmp_path / path).unlink()
        else:
            (tmp_path / path).write_bytes(old)
