"""No door through which a checkpoint could run code: every way to load one, every scheme of an address."""
import http.server
import os
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import pytest
import torch
from hostile_checkpoint import program, write_hostile
from mmengine.config import Config
from mmengine.model import BaseModel, BaseModule
from mmengine.runner import Runner, load_checkpoint
from mmengine.runner.checkpoint import CheckpointLoader
from mmseg.apis import MMSegInferencer, init_model
from torch import nn

import cmim_mm
from cmim_mm.checkpoint import CheckpointError, load_checkpoint_file

REFUSED = 'refused, it holds .*Nothing of it was run'


class Toy(BaseModel):
    """One layer that trains."""

    def __init__(self, init_cfg=None):
        super().__init__(init_cfg=init_cfg)
        self.layer = nn.Linear(2, 1)

    def forward(self, inputs, mode='tensor'):
        return {'loss': self.layer(torch.stack(inputs)).sum()}


class Layer(BaseModule):
    """What ``init_cfg`` initializes."""

    def __init__(self, checkpoint):
        super().__init__(init_cfg={'type': 'Pretrained', 'checkpoint': checkpoint})
        self.layer = nn.Linear(2, 1)


def toy_runner(work_dir, **changes):
    return Runner(
        Toy(), str(work_dir), train_cfg={'by_epoch': False, 'max_iters': 2}, log_level='ERROR',
        experiment_name=f'{work_dir}_{changes}'.replace('/', '_')[-100:],
        train_dataloader={'dataset': [{'inputs': torch.ones(2)}] * 4, 'batch_size': 2, 'num_workers': 0,
                          'sampler': {'type': 'InfiniteSampler'}},
        optim_wrapper={'optimizer': {'type': 'SGD', 'lr': 0.1}}, **changes)


def segmentor_config():
    return Config({
        'model': {'type': 'EncoderDecoder', 'data_preprocessor': {'type': 'SegDataPreProcessor'},
                  'backbone': {'type': 'ResNet', 'depth': 18, 'base_channels': 2, 'norm_eval': True},
                  'decode_head': {'type': 'FCNHead', 'in_channels': 16, 'channels': 2, 'num_classes': 2,
                                  'num_convs': 1, 'norm_cfg': {'type': 'BN'}},
                  'train_cfg': {}, 'test_cfg': {'mode': 'whole'}},
        'test_dataloader': {
            'dataset': {'pipeline': [{'type': 'LoadImageFromFile'}, {'type': 'PackSegInputs'}]}},
        'visualizer': {'type': 'SegLocalVisualizer', 'name': 'door'},
    })


DOORS = {
    'load_from': lambda path, tmp: toy_runner(tmp / 'run', load_from=path).train(),
    'resume': lambda path, tmp: toy_runner(tmp / 'run', load_from=path, resume=True).train(),
    'init_cfg': lambda path, tmp: Layer(path).init_weights(),
    'init_cfg of a runner': lambda path, tmp: Toy({'type': 'Pretrained', 'checkpoint': path}).init_weights(),
    'load_checkpoint': lambda path, tmp: load_checkpoint(Toy(), path),
    'init_model': lambda path, tmp: init_model(segmentor_config(), path, device='cpu'),
    'inferencer': lambda path, tmp: MMSegInferencer(segmentor_config(), path, device='cpu'),
    'load_checkpoint_file': lambda path, tmp: load_checkpoint_file(path),
}


@pytest.fixture(autouse=True)
def environment_asks_for_unsafe_loading(monkeypatch, tmp_path):
    """The harsher case for every test here; downloads go to a folder of the test."""
    monkeypatch.setenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', '1')
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'torch'))
    monkeypatch.setenv('MMENGINE_HOME', str(tmp_path / 'mmengine'))
    monkeypatch.setenv('no_proxy', '127.0.0.1')


@pytest.fixture
def marker(tmp_path):
    return tmp_path / 'marker'


@pytest.fixture
def hostile(tmp_path, marker):
    return write_hostile(tmp_path / 'hostile.pth', marker)


def test_payload_and_program_would_run(hostile, marker):
    torch.load(hostile, weights_only=False)
    assert marker.exists()
    marker.unlink()
    Config.fromstring(program(marker), '.py')
    assert marker.exists()


@pytest.mark.parametrize('door', DOORS)
def test_hostile_checkpoint_is_refused_at_each_door(door, hostile, marker, tmp_path):
    with pytest.raises(CheckpointError, match=REFUSED) as error:
        DOORS[door](hostile, tmp_path)
    assert hostile in str(error.value) and 'system' in str(error.value)
    assert not marker.exists()


# Schemes other than a path. --------------------------------------------------------------------------

@pytest.fixture
def server(tmp_path):
    """Serves ``tmp_path`` on 127.0.0.1 and gives the address."""
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    handler = partial(Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield f'http://127.0.0.1:{running.server_port}'
        running.shutdown()
        thread.join()


@pytest.mark.parametrize('door', [door for door in DOORS if door != 'load_checkpoint_file'])
def test_hostile_url(door, server, hostile, marker, tmp_path):
    url = f'{server}/hostile.pth'
    with pytest.raises(CheckpointError, match=REFUSED) as error:
        DOORS[door](url, tmp_path)
    assert url in str(error.value)
    assert not marker.exists()


def test_url_is_downloaded_once(server, tmp_path, monkeypatch):
    torch.save({'layer.bias': torch.ones(1)}, tmp_path / 'good.pth')
    for _ in range(2):
        assert CheckpointLoader.load_checkpoint(f'{server}/good.pth')['state_dict']['layer.bias'] == 1
        (tmp_path / 'good.pth').unlink(missing_ok=True)
    with pytest.raises(CheckpointError, match='cannot be downloaded'):
        CheckpointLoader.load_checkpoint(f'{server}/absent.pth')


@pytest.mark.parametrize('scheme', [
    'torchvision://toy', 'modelzoo://toy', 'open-mmlab://toy', 'openmmlab://toy', 'openmmlab://local',
    'mmcls://toy', 's3://bucket/toy', 'cluster:s3://bucket/toy', 'petrel://bucket/toy', 'pavi://toy'])
def test_hostile_file_behind_every_scheme(scheme, server, hostile, marker, tmp_path, monkeypatch):
    addresses = {'toy': f'{server}/hostile.pth', 'local': hostile}
    for table in ('get_torchvision_models', 'get_external_models', 'get_mmcls_models'):
        monkeypatch.setattr(f'cmim_mm.checkpoint.{table}', lambda: addresses)

    class Store:  # both stores: petrel's get, pavi's download
        name = 'toy.pth'
        get = staticmethod(lambda path: Path(hostile).read_bytes())

        def download(self, path):
            Path(path).write_bytes(Path(hostile).read_bytes())

    monkeypatch.setattr('cmim_mm.checkpoint.get_file_backend', lambda *args, **kwargs: Store())
    pavi = type(sys)('pavi')
    pavi.modelcloud = type('modelcloud', (), {'get': staticmethod(lambda name: Store())})
    monkeypatch.setitem(sys.modules, 'pavi', pavi)
    with pytest.raises(CheckpointError, match=REFUSED):
        CheckpointLoader.load_checkpoint(scheme)
    assert not marker.exists()


def test_every_scheme_of_mmengine_is_ours():
    assert {loader.__module__ for loader in CheckpointLoader._schemes.values()} == {'cmim_mm.checkpoint'}


def test_unknown_name_lists_the_known_ones(monkeypatch):
    monkeypatch.setattr('cmim_mm.checkpoint.get_mmcls_models', lambda: {'vgg11': ''})
    with pytest.raises(CheckpointError, match="no model is called 'vgg12'.*vgg11"):
        CheckpointLoader.load_checkpoint('mmcls://vgg12')


# Python text inside a checkpoint that is otherwise plain data. ---------------------------------------

@pytest.fixture
def texts(tmp_path, marker):
    """A whole, resumable checkpoint of ``toy_runner`` with a program in each place for a config."""
    toy_runner(tmp_path / 'run').train()
    checkpoint = torch.load(tmp_path / 'run/epoch_1.pth', weights_only=True)
    checkpoint['meta'].update(config=program(marker), cfg=program(marker), iter=1)
    checkpoint['message_hub']['runtime_info']['cfg'] = program(marker)
    torch.save(checkpoint, tmp_path / 'texts.pth')
    return str(tmp_path / 'texts.pth')


@pytest.mark.parametrize('door', [
    'load_from', 'resume', 'init_cfg', 'load_checkpoint', 'load_checkpoint_file'])
def test_config_texts_are_ignored(door, texts, marker, tmp_path):
    DOORS[door](texts, tmp_path)
    assert not marker.exists()


def test_config_texts_do_not_reach_the_resumed_run(texts, marker, tmp_path):
    runner = toy_runner(tmp_path / 'run', load_from=texts, resume=True)
    runner.train()
    assert str(marker) not in runner.message_hub.get_info('cfg')
    assert load_checkpoint_file(texts)['message_hub']['runtime_info'].get('cfg') is None


def test_inferencer_without_config_is_refused(texts, marker):
    with pytest.raises(CheckpointError, match=r'no config was given.*model=CONFIG'):
        MMSegInferencer(None, texts, device='cpu')
    assert not marker.exists()


def test_a_program_ends_with_an_error(hostile, marker):
    code = f'import cmim_mm; from mmengine.runner import load_checkpoint; load_checkpoint(None, {hostile!r})'
    environment = {**os.environ, 'PYTHONPATH': str(Path(cmim_mm.__file__).parents[1])}
    ended = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, env=environment)
    assert ended.returncode == 1 and 'refused' in ended.stderr and not marker.exists()
