"""tools/misc/publish_model.py."""
import hashlib
import json
from pathlib import Path

import pytest
import torch
import yaml
from mmengine.config import Config

from cmim_mm.checkpoint import CheckpointError
from cmim_mm.deploy.packing import build, inference_config
from cmim_mm.engine.cli import ToolError
from cmim_mm.models.backbones import BinaryResNet


@pytest.fixture
def publish(tool):
    return tool('misc/publish_model.py').main


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / 'iter_9.pth'
    torch.save({'state_dict': {'w': torch.arange(3.)}, 'optimizer': {'state': torch.zeros(999)},
                'message_hub': {'log': torch.zeros(9)}, 'param_schedulers': [],
                'meta': {'iter': 9, 'cfg': 'import os', 'hook_msgs': {},
                         'dataset_meta': {'classes': ('a', )}}}, path)
    return path


def test_weights_alone_under_their_hash(publish, checkpoint, tmp_path, capsys):
    publish([str(checkpoint), str(tmp_path / 'out/model.pth')])
    path, = (tmp_path / 'out').iterdir()
    assert path.name == f'model-{hashlib.sha256(path.read_bytes()).hexdigest()[:8]}.pth'
    loaded = torch.load(path, weights_only=True)
    assert loaded['state_dict']['w'].tolist() == [0, 1, 2] and set(loaded) == {'state_dict', 'meta'}
    assert loaded['meta'] == {'iter': 9, 'dataset_meta': {'classes': ('a', )}}
    assert path.name in capsys.readouterr().out
    publish([str(checkpoint), str(tmp_path / 'out/model.pth')])
    assert len([*(tmp_path / 'out').iterdir()]) == 1  # the same weights have the same name


def test_metafile_entry(publish, checkpoint, tmp_path, repository, capsys):
    config = str(repository / 'configs/nyud_seg_bnn.py')
    results, metafile = tmp_path / 'results.json', tmp_path / 'metafile.yml'
    results.write_text(json.dumps({'mIoU': 12.345678, 'aAcc': 50.0, 'time': 1.0}))
    metafile.write_text(yaml.safe_dump({'Models': [
        {'Name': 'other', 'Config': 'other.py'}, {'Name': 'nyud_seg_bnn', 'Config': config, 'Kept': 1}]}))
    publish([str(checkpoint), str(tmp_path / 'm.pth'), '--config', config, '--results', str(results),
             '--metafile', str(metafile)])
    other, model = yaml.safe_load(metafile.read_text())['Models']
    assert other == {'Name': 'other', 'Config': 'other.py'} and model['Kept'] == 1
    assert Path(model['Weights']).name.startswith('m-') and Path(model['Weights']).is_file()
    assert model['Results'] == [{'Metrics': {'mIoU (%)': 12.3457, 'pixel accuracy (%)': 50.0}}]
    assert 'In Collection: CMIM' in capsys.readouterr().out


def test_an_encoder_whose_filters_are_bits(publish, repository, tmp_path):
    """It enters the dense network whole, and is that of the checkpoint."""
    config = repository / 'configs/pretrain/reactnet_r18_unlabelled.py'
    model = build(inference_config(Config.fromfile(config)))
    state = {**model.state_dict(), 'neck.binary.0.weight': torch.ones(3)}
    torch.save({'state_dict': state}, tmp_path / 'a.pth')
    publish([str(tmp_path / 'a.pth'), str(tmp_path / 'encoder.safetensors'), '--config', str(config)])
    path, = tmp_path.glob('encoder-*.safetensors')
    assert path.stem == f'encoder-{hashlib.sha256(path.read_bytes()).hexdigest()[:8]}'
    assert path.stat().st_size < 2.5e6
    encoder = BinaryResNet(18, binarizer='ReActNet', init_cfg=dict(
        type='Pretrained', checkpoint=str(path), prefix='backbone.'))
    encoder.init_weights()
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(encoder.eval()(images)[-1], model.backbone(images)[-1])


@pytest.mark.parametrize('arguments, message', [
    (['none.pth', 'x.pth'], 'none.pth: there is no such checkpoint'),
    (['{checkpoint}', 'x.onnx'], 'ends with .pth or .safetensors'),
    (['{checkpoint}', 'x.safetensors'], 'give --config'),
    (['{checkpoint}', 'x.safetensors', '--config', '{checkpoint}'], 'cannot be read as a config'),
    (['{checkpoint}', 'x.pth', '--metafile', 'none.yml'], 'no metafile with a list of Models'),
    (['{checkpoint}', 'x.pth', '--metafile', '{checkpoint}'], 'no metafile with a list of Models'),
    (['{checkpoint}', 'x.pth', '--config', 'none.py'], 'there is no such config'),
    (['{checkpoint}', 'x.pth', '--results', '{checkpoint}'], 'is no JSON file of figures')])
def test_mistakes_write_nothing(publish, checkpoint, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ToolError, match=message):
        publish([argument.format(checkpoint=checkpoint) for argument in arguments])
    assert [path.name for path in tmp_path.iterdir()] == ['iter_9.pth']


def test_packed_models_are_no_checkpoints(publish, repository, tmp_path):
    for suffix in ('pth', 'safetensors'):
        with pytest.raises(CheckpointError, match='the checkpoint that it was packed of'):
            publish([str(repository / 'zoo/nyud_seg_r18.cmim'), str(tmp_path / f'a.{suffix}'), '--config',
                     str(repository / 'configs/zoo/nyud_seg_r18.py')])
    assert not [*tmp_path.iterdir()]


def test_no_checkpoint_of_a_training(publish, tmp_path):
    torch.save(torch.zeros(2), tmp_path / 'a.pth')
    with pytest.raises(CheckpointError, match='holds no state_dict'):
        publish([str(tmp_path / 'a.pth'), str(tmp_path / 'b.pth')])
