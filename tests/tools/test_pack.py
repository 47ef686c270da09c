"""tools/pack.py, and its file in place of config and checkpoint in tools/test.py and tools/infer.py."""
from pathlib import Path

import cv2
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS

from cmim_mm.checkpoint import CheckpointError
from cmim_mm.datasets.nyud_meta import CLASSES, PALETTE
from cmim_mm.engine import cli
from cmim_mm.safetensors_file import FileRefused

META = dict(dataset_meta=dict(classes=CLASSES[40], palette=PALETTE[40]))


@pytest.fixture(scope='module', params=['seg', 'depth'])
def files(request, tool, repository, tmp_path_factory):
    """(task, config, checkpoint, packed file)."""
    init_default_scope('mmseg')
    config = repository / f'configs/nyud_{request.param}_bnn_quick.py'
    folder = tmp_path_factory.mktemp('packed')
    torch.manual_seed(0)
    torch.save(dict(state_dict=MODELS.build(Config.fromfile(config).model).state_dict(), meta=META),
               folder / 'trained.pth')
    paths = [str(p) for p in (config, folder / 'trained.pth', folder / 'packed.cmim')]
    tool('pack.py').main([*paths[:2], '-o', paths[2]])
    return (request.param, *paths)


def table(text):
    rows = [line.split('|')[1:3] for line in text.splitlines() if line.startswith('| ')]
    return {name.strip(): value.strip() for name, value in rows}


def test_prints_sizes(tool, files, tmp_path, capsys):
    _, config, checkpoint, packed = files
    tool('pack.py').main([config, checkpoint, '-o', str(tmp_path / 'a.cmim'), '--half', '--part', 'backbone'])
    found = table(capsys.readouterr().out)
    size = (tmp_path / 'a.cmim').stat().st_size
    assert found['file'] == f'{size:,}' and float(found['times smaller']) > 24
    assert 0.7 < int(found['of it bits'].replace(',', '')) / size < 0.85


def test_figures_are_the_trained_models(tool, files, rooms_root, tmp_path, capsys):
    """Of the packed file alone, and of the config with it as checkpoint."""
    _, config, checkpoint, packed = files
    data = ['--data-root', str(rooms_root), '--work-dir', str(tmp_path)]
    workers = ['--cfg-options', 'test_dataloader.num_workers=0', 'test_dataloader.persistent_workers=False']
    found = []
    for given in ([config, checkpoint], [packed], [config, packed]):
        tool('test.py').main([*given, *data, *workers, '--show-dir', str(tmp_path / 'shown'), '--tta'])
        found.append(table(capsys.readouterr().out))
    assert found[0].keys() == found[1].keys() == found[2].keys() and len(found[0]) > 3
    for other in found[1:]:
        for name, value in found[0].items():
            if value.replace('.', '').isdecimal():
                assert float(other[name]) == pytest.approx(float(value), rel=2e-3, abs=0.02), name


def test_photo_to_painting_without_a_config(tool, files, rooms_root, tmp_path):
    task, config, checkpoint, packed = files
    image, kind = str(rooms_root / 'image/0002.png'), dict(seg='label', depth='depth')[task]
    for i, given in enumerate(([packed], [config, packed], [packed, packed], [config, checkpoint])):
        tool('infer.py').main([*given, image, '--out', str(tmp_path / str(i)), '--device', 'cpu'])
    maps = [cv2.imread(str(tmp_path / f'{i}/0002_{kind}.png'), -1) for i in range(4)]
    assert all((found == maps[0]).all() for found in maps[:3])
    difference = abs(maps[3].astype(int) - maps[0])
    assert (difference > (0 if task == 'seg' else 2)).mean() < 0.01


def test_mistakes_of_the_user(tool, files, tmp_path, capsys):
    _, config, checkpoint, packed = files
    pack, out = tool('pack.py'), str(tmp_path / 'a.cmim')
    with pytest.raises(cli.ToolError, match=r'expected a name that ends with \.cmim'):
        pack.main([config, checkpoint, '-o', str(tmp_path / 'a.pth')])
    with pytest.raises(cli.ToolError, match='there is no such checkpoint'):
        pack.main([config, str(tmp_path / 'missing.pth'), '-o', out])
    with pytest.raises(CheckpointError, match='is packed already'):
        pack.main([config, packed, '-o', out])
    assert not list(tmp_path.iterdir())
    for arguments in ([config], [packed, '--out', 'x', '--tta', 'y', 'z']):
        with pytest.raises(SystemExit):
            tool('test.py').main(arguments)
    with pytest.raises(SystemExit):
        tool('infer.py').main([config, checkpoint, '--out', 'x'])
    assert 'required: IMAGE' in capsys.readouterr().err
    broken = tmp_path / 'broken.cmim'
    broken.write_bytes(Path(packed).read_bytes()[:-1])
    with pytest.raises(FileRefused) as error:
        tool('test.py').main([str(broken)])
    assert cli.expected_message(error.value).startswith(str(broken))
