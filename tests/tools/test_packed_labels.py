"""The tools write labels of packed models without logits at the image's size."""
import cv2
import pytest
import torch
from mmseg.apis import inference_model

from cmim_mm.deploy import load, ops


@pytest.fixture
def sizes(monkeypatch):
    """What bilinear_labels resized to."""
    seen, call = [], ops.bilinear_labels
    monkeypatch.setattr(ops, 'bilinear_labels', lambda *args: seen.append(args[1]) or call(*args))
    return seen


@pytest.fixture
def zoo_file(repository):
    return str(repository / 'zoo/nyud_seg_r18.cmim')


def test_infer(tool, zoo_file, rooms_root, tmp_path, sizes):
    """The tool paints the labels of the ordinary way, and computes no others."""
    image = rooms_root / 'image/0001.png'
    tool('infer.py').main([zoo_file, str(image), '--out', str(tmp_path), '--device', 'cpu'])
    found = torch.from_numpy(cv2.imread(str(tmp_path / '0001_label.png'), -1)).long() - 1
    assert len(sizes) == 1 and sizes[0] == tuple(found.shape)
    logits = inference_model(load(zoo_file), str(image)).seg_logits.data
    torch.testing.assert_close(logits.gather(0, found[None]), logits.amax(0, keepdim=True))


@pytest.mark.parametrize('more, number', [([], 1), (['--tta'], 0)])
def test_evaluation(tool, zoo_file, rooms_root, tmp_path, sizes, capsys, more, number):
    """Without logits, except where augmented views are averaged."""
    tool('test.py').main([zoo_file, '--data-root', str(rooms_root), '--work-dir', str(tmp_path), *more])
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith('| aAcc '))
    images = len((rooms_root / 'test.txt').read_text().split())
    assert 0 < float(line.split('|')[2]) < 100 and len(sizes) == number * images
