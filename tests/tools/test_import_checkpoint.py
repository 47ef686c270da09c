import cv2
import numpy as np
import pytest
import torch
from fake_cifar import write_cifar10, write_pickle
from hostile_checkpoint import write_hostile
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import DefaultScope
from PIL import Image
from public_networks import Public, resnet

from cmim_mm.checkpoint import CheckpointError, load_checkpoint_file
from cmim_mm.engine.cli import ToolError

TOOL = 'model_converters/import_checkpoint.py'
ADABIN = ['--method', 'AdaBin', '--network', 'resnet20']


def test_the_printed_config_evaluates_it(tool, repository, tmp_path, capsys, monkeypatch):
    """The labels of the data are what the public equations predict on them, by their own normalization."""
    monkeypatch.chdir(repository)
    images, _ = write_cifar10(tmp_path / 'data', per_file=40)['test_batch']
    mean, std = (torch.tensor(v, dtype=torch.float64).view(3, 1, 1)
                 for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    torch.manual_seed(0)
    net = Public('AdaBin')
    logits = resnet(net, (torch.from_numpy(images) / 255 - mean) / std, 10, (3, 3, 3), 16, 'pad')
    labels = logits.argmax(1).tolist()
    assert len({*labels}) > 4
    write_pickle(tmp_path / 'data/cifar-10-batches-py/test_batch',
                 {b'data': images.reshape(40, 3072), b'labels': labels, b'batch_label': b'x'})
    torch.save({'state_dict': {f'module.{k}': v for k, v in net.state.items()},
                'best_prec1': torch.tensor(88.02)}, tmp_path / 'model.th')

    tool(TOOL).main([str(tmp_path / 'model.th'), *ADABIN, '-o', str(tmp_path / 'out/a.pth')])
    printed = capsys.readouterr().out.splitlines()
    config = 'configs/foreign/adabin_r20_cifar10.py'
    assert printed[-1] == config and 'best_prec1 88.02' in printed[0]
    meta = load_checkpoint_file(tmp_path / 'out/a.pth')['meta']
    assert meta['source'] == 'AdaBin resnet20: model.th'
    assert meta['foreign'] == dict(best_prec1=pytest.approx(88.02)) and meta['left_out'] == []
    assert [path.name for path in (tmp_path / 'out').iterdir()] == ['a.pth']

    tool('test.py').main([config, str(tmp_path / 'out/a.pth'), '--data-root', str(tmp_path / 'data'),
                          '--work-dir', str(tmp_path / 'work')])
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith('| accuracy/top1'))
    assert float(line.split('|')[2]) >= 90  # rounding may flip a sign here and there


def test_mistakes_are_named_and_nothing_is_written(tool, tmp_path, capsys):
    source, out = tmp_path / 'in.pth', tmp_path / 'out.pth'
    write_hostile(source, tmp_path / 'marker')
    before = source.read_bytes()

    def convert(path, *arguments):
        tool(TOOL).main([str(path), *arguments])

    with pytest.raises(CheckpointError, match='in.pth: refused, it holds'):
        convert(source, *ADABIN, '-o', str(out))
    with pytest.raises(ToolError, match='none.pth: there is no such checkpoint'):
        convert(tmp_path / 'none.pth', *ADABIN, '-o', str(out))
    with pytest.raises(ToolError, match="network='vgg' is unknown for AdaBin; valid are resnet20, resnet18"):
        convert(source, '--method', 'AdaBin', '--network', 'vgg', '-o', str(out))
    for bad, message in ((source, 'is the checkpoint to read'), (tmp_path, 'is a folder')):
        with pytest.raises(ToolError, match=message):
            convert(source, *ADABIN, '-o', str(bad))
    with pytest.raises(SystemExit, match='2'):
        convert(source, '--method', 'BNN', '--network', 'resnet20', '-o', str(out))
    assert 'IRNet' in capsys.readouterr().err
    assert not out.exists() and not (tmp_path / 'marker').exists() and source.read_bytes() == before


@pytest.mark.parametrize('size', [(300, 391), (391, 300)])
def test_imagenet_images_are_prepared_as_by_the_public_code(size, repository, tmp_path):
    """Shorter side to 256 by Pillow's bilinear filter, 224 x 224 from the middle."""
    cfg = Config.fromfile(repository / 'configs/foreign/irnet_r18_imagenet.py')
    path = str(tmp_path / 'image.png')
    cv2.imwrite(path, np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8))
    image = Image.open(path)
    scale = 256 / min(image.size)
    image = image.resize([round(side * scale) for side in image.size], Image.BILINEAR)
    x, y = ((side - 224) // 2 for side in image.size)
    expected = np.asarray(image.crop((x, y, x + 224, y + 224)))
    with DefaultScope.overwrite_default_scope('mmseg'):
        for loader in (cfg.val_dataloader, cfg.test_dataloader):
            sample = Compose(loader.dataset.pipeline)(dict(img_path=path, gt_label=0))
            assert np.array_equal(sample['inputs'].numpy()[::-1].transpose(1, 2, 0), expected)
