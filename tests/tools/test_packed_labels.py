"""The tools write labels of packed models without logits at the image's size."""
import cv2
import pytest
import torch
from mmengine.evaluator import BaseMetric
from mmseg.apis import inference_model

from cmim_mm.deploy import load, ops
from cmim_mm.registry import METRICS


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


@METRICS.register_module()
class LogitsMetric(BaseMetric):
    """A metric of somebody's own: the largest logit."""

    def __init__(self, iou_metrics, **kwargs):
        super().__init__(**kwargs)

    def process(self, data_batch, data_samples):
        self.results += [float(sample['seg_logits']['data'].max()) for sample in data_samples]

    def compute_metrics(self, results):
        return {'aAcc': max(results)}


@pytest.mark.parametrize('more, number', [
    ([], 1), (['--tta'], 0), (['--cfg-options', 'test_evaluator.type=cmim_mm.LogitsMetric'], 0)])
def test_evaluation(tool, zoo_file, rooms_root, tmp_path, sizes, capsys, more, number):
    """Without logits, except where augmented views are averaged or a metric may read them."""
    tool('test.py').main([zoo_file, '--data-root', str(rooms_root), '--work-dir', str(tmp_path), *more])
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith('| aAcc '))
    images = len((rooms_root / 'test.txt').read_text().split())
    assert 0 < float(line.split('|')[2]) < 100 and len(sizes) == number * images
