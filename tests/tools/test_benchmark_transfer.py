"""tools/benchmark_transfer.py from grid to report, on tiny rooms."""
import csv
import html.parser
import json
import re
import shutil
import subprocess

import pytest
import torch

from cmim_mm.benchmark.store import Store
from cmim_mm.benchmark.watch import read_progress
from cmim_mm.engine.cli import ToolError

GRID = '''
_tiny = {{
    'train_cfg.max_iters': 2, 'train_cfg.val_interval': 2, 'model.decode_head.channels': 8,
    'param_scheduler.0.end': 1, 'param_scheduler.1.begin': 1, 'param_scheduler.1.end': 2,
    'train_dataloader.batch_size': 2, 'default_hooks.logger.interval': 1,
    'default_hooks.checkpoint.interval': 1, 'model.backbone.depth': 20, 'model.backbone.stem': 'imagenet',
    'model.decode_head.in_channels': [16, 32, 64], 'model.decode_head.in_index': [0, 1, 2],
    **{{f'{{split}}_dataloader.{{key}}': value for split in ('train', 'val', 'test')
       for key, value in (('num_workers', 0), ('persistent_workers', False))}}}}
encoders = dict(
    scratch=dict(),
    rooms=dict(pretrain='{configs}/nyud_depth_bnn_quick.py', data_root='{{data_root}}', options={{
        **_tiny, 'default_hooks.probe.type': 'cmim_mm.ProbeHook', 'default_hooks.probe.num_images': 2}}))
tasks = dict(segmentation=dict(config='{configs}/nyud_seg_bnn_quick.py'),
             depth=dict(config='{configs}/nyud_depth_bnn_quick.py'))
modes = ['linear']
shares = [50]
held_out = 20
checkpoint = 'best'
seeds = [0, 1]
painted = 1
options = _tiny
'''


@pytest.fixture(scope='module')
def call(tool, repository, rooms_root, tmp_path_factory):
    """Calls the tool on the tiny grid; returns its folder."""
    folder = tmp_path_factory.mktemp('transfer')
    (folder / 'tiny.py').write_text(GRID.format(configs=repository / 'configs'))

    def call(*arguments):
        tool('benchmark_transfer.py').main([
            str(folder / 'tiny.py'), '--data-root', str(rooms_root), '--work-dir', str(folder / 'work'),
            *arguments])
        return folder / 'work'
    return call


@pytest.fixture(scope='module')
def finished(call):
    return call()


def test_every_run_has_its_line(finished):
    store = Store(finished)
    records = store.records()
    assert set(records) == set(store.manifest()['runs']) and len(records) == 1 + 2 * (1 + 2 * 2)
    assert all(record['status'] == 'finished' for record in records.values())
    record = records['segmentation/linear/share50/rooms/seed1']
    assert {'mIoU', 'aAcc', 'mAcc'} <= record['metrics'].keys() and record['cost']['ops'] > 0
    assert [step for step, _ in record['curves']['loss']] == [1, 2] and len(record['curves']['mIoU']) == 1
    assert any(name.startswith('probe/bound/') for name in records['pretrain/rooms']['metrics'])
    assert records['trivial/depth']['predictor'].startswith('mean depth')
    assert 'torch' in record['versions'] and record['machine']['cores']
    progress = read_progress(store)
    assert progress.over and progress.finished == len(records)


def test_called_again_it_repeats_nothing(finished, call, capsys):
    before = (finished / 'results.jsonl').read_bytes()
    call()
    assert (finished / 'results.jsonl').read_bytes() == before
    assert '11 runs' in capsys.readouterr().out


def test_a_run_repeats_by_hand(finished, tool, tmp_path):
    """tools/train.py on the written config ends with the same weights."""
    run = finished / 'runs/depth/linear/share50/rooms/seed1'
    tool('train.py').main([str(run / 'config.py'), '--work-dir', str(tmp_path)])
    best, = tmp_path.glob('best_*.pth')
    ours, again = (torch.load(path, weights_only=True)['state_dict']
                   for path in (run / 'checkpoint.pth', best))
    assert all(torch.equal(value, again[key]) for key, value in ours.items())
    pretrained = torch.load(finished / 'runs/pretrain/rooms/checkpoint.pth', weights_only=True)['state_dict']
    encoder = {key: value for key, value in pretrained.items() if key.startswith('backbone.')}
    # A probe trains none of it.
    assert encoder and all(torch.equal(value, ours[key]) for key, value in encoder.items())


def test_tables(finished):
    rows = list(csv.DictReader((finished / 'results.csv').open()))
    main = {row['encoder']: row for row in rows if row['metric'] == 'pixel/rmse'}
    assert main['scratch']['difference'] == '' != main['rooms']['difference']
    assert main['rooms']['seeds'] == '2'
    low, high = float(main['rooms']['images_low']), float(main['rooms']['images_high'])
    assert low <= float(main['rooms']['difference']) <= high
    content = json.loads((finished / 'results.json').read_text(), parse_constant=pytest.fail)
    assert len(content['rows']) == 4 and not content['missing']
    assert any('linear probe is at chance' in note for note in content['notes'])  # after two steps


class _Page(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.addresses = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.addresses += [value for key, value in attributes if key in ('src', 'href', 'xlink:href')]


def test_page_needs_nothing_else(finished):
    text = (finished / 'report.html').read_text()
    addresses = _Page(text).addresses
    outside = [address for address in addresses if not address.startswith(('data:image/', '#'))]
    assert addresses and not outside
    assert 'url(http' not in text and '@import' not in text
    for word in ('ground truth', 'the best on 20 %', 'over seeds', 'over images', 'train.py', 'fingerprint'):
        assert word in text, word


CHECK = '''<script>
window.errors = []; window.onerror = message => window.errors.push(message);
window.addEventListener('load', () => {
  const table = document.querySelector('table.sortable'), column = 4;
  const values = () => [...table.tBodies[0].rows].map(row => row.cells[column].dataset.value);
  const button = table.tHead.rows[0].cells[column].querySelector('button');
  const images = [...document.images].map(image => image.complete && image.naturalWidth > 0);
  const result = {errors: window.errors, images};
  button.click(); result.up = values(); button.click(); result.down = values();
  result.wide = document.documentElement.scrollWidth;
  document.body.innerHTML = ''; document.body.append('RESULT' + JSON.stringify(result) + 'END');
});
</script>'''


@pytest.mark.parametrize('width', [400, 1400])
def test_page_in_a_browser(finished, tmp_path, width):
    browser = shutil.which('chromium') or shutil.which('chromium-browser')
    if browser is None:
        pytest.skip('no chromium: apt-get install chromium')
    page = tmp_path / 'page.html'
    page.write_text((finished / 'report.html').read_text().replace('<head>', f'<head>{CHECK}', 1))
    done = subprocess.run(
        [browser, '--headless', '--no-sandbox', '--disable-gpu', f'--user-data-dir={tmp_path / "profile"}',
         f'--window-size={width},900', '--virtual-time-budget=5000', '--dump-dom', f'file://{page}'],
        capture_output=True, text=True, timeout=120)
    found = json.loads(re.search(r'RESULT(\{.*\})END', done.stdout).group(1))
    assert found['errors'] == [] and len(found['images']) >= 7 and all(found['images'])
    known = [float(value) for value in found['up'] if value]
    assert len(known) == 3 and known == sorted(known)
    assert [float(value) for value in found['down'] if value] == known[::-1]
    assert found['wide'] <= max(width, 500)  # chromium's narrowest window; tables scroll by themselves


def test_watch_runs_nothing(finished, call, capsys):
    before = (finished / 'results.jsonl').read_bytes()
    call('--watch')
    assert '11 of 11 runs finished' in capsys.readouterr().out
    assert (finished / 'results.jsonl').read_bytes() == before


def test_dry_run_of_shares_whose_lists_are_not_written_yet(call, tmp_path, capsys):
    call('--dry-run', '--work-dir', str(tmp_path / 'new'))
    out = capsys.readouterr().out
    assert '| rooms   | depth        | linear | 2    |' in out and 'about' in out
    assert 'cannot be timed' not in out
    assert 'Training' not in out and not (tmp_path / 'new').exists()


@pytest.mark.parametrize('change, message', [
    (lambda grid: grid.replace('seeds', 'sedes'), "sedes there is no such key; did you mean 'seeds'"),
    (lambda grid: grid.replace("'train_cfg.max_iters': 2", "'train_cfg.max_iters': 3"), 'which change'),
    (lambda grid: grid.replace('seeds = [0, 1]', 'seeds = [0]'), 'this one lacks')])
def test_mistakes_leave_the_folder_alone(finished, tool, tmp_path, rooms_root, repository, change, message):
    grid = tmp_path / 'tiny.py'
    grid.write_text(change(GRID).format(configs=repository / 'configs'))
    before = {path: path.read_bytes() for path in finished.iterdir() if path.is_file()}
    with pytest.raises(ToolError, match=message):
        tool('benchmark_transfer.py').main([
            str(grid), '--data-root', str(rooms_root), '--work-dir', str(finished)])
    assert {path: path.read_bytes() for path in finished.iterdir() if path.is_file()} == before


@pytest.mark.parametrize('arguments, message', [
    (['--data-root', 'none'], 'No data in'), (['--work-dir', 'none', '--watch'], 'holds no manifest.json')])
def test_wrong_arguments(call, arguments, message):
    with pytest.raises(Exception, match=message):
        call(*arguments)
