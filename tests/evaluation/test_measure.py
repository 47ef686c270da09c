"""What the probes measure of a model, against its own layers by hand."""
import math

import pytest
import torch
import torch.nn.functional as F
from mmengine.registry import DefaultScope
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from cmim_mm.binarize import set_progress
from cmim_mm.evaluation.measure import measure
from cmim_mm.evaluation.probes import knn_accuracy
from cmim_mm.evaluation.undisturbed import undisturbed
from cmim_mm.models.teacher import full_precision_twin
from cmim_mm.registry import MODELS
from cmim_mm.structures import ClsDataSample

TAP, N = 'layer3.5.conv1', 30
CLASSIFIER = dict(
    type='cmim_mm.ImageClassifier', data_preprocessor=dict(type='cmim_mm.ClsDataPreProcessor'),
    backbone=dict(type='cmim_mm.BinaryResNet', depth=20, binarizer='IRNet'),
    decode_head=dict(type='cmim_mm.ClsHead', in_channels=64, num_classes=3))


@pytest.fixture(autouse=True)
def scope():
    with DefaultScope.overwrite_default_scope('mmseg'):
        yield


def batches():
    """Three batches of ten images, whose classes are three faint tints."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 200, (N, 3, 16, 16), generator=generator)
    labels = torch.arange(N) % 3
    for image, label in zip(pixels, labels):
        image[label] += 40
    samples = [ClsDataSample(metainfo=dict(sample_idx=i), gt_label=x[None]) for i, x in enumerate(labels)]
    return [dict(inputs=list(pixels[i:i + 10].to(torch.uint8)), data_samples=samples[i:i + 10])
            for i in range(0, N, 10)], labels


def piled(latent=None, teacher=None, binarizer='IRNet'):
    torch.manual_seed(0)
    cmim = dict(neck=dict(dim=8, latent=latent or {}), head=dict(memory=dict(type='InBatch')))
    backbone = dict(CLASSIFIER['backbone'], binarizer=binarizer)
    model = MODELS.build(dict(CLASSIFIER, backbone=backbone, type='cmim_mm.CMIM', on=CLASSIFIER['type'],
                              cmim=cmim, **(dict(teacher=teacher) if teacher else {})))
    model.init_weights()
    set_progress(model, 0.5)
    for batch in batches()[0]:  # moves the norms' statistics, so that modes differ
        model.backbone(model.data_preprocessor(batch, True)['inputs'])
    return model


def seen(model, layer=TAP):
    """Latent and binary activations of a layer on all images, in eval mode."""
    conv, found = model.backbone.get_submodule(layer), []
    handle = conv.register_forward_pre_hook(lambda _, x: found.append(x[0]))
    with undisturbed(model):
        for batch in batches()[0]:
            model.backbone(model.data_preprocessor(batch, False)['inputs'])
        latent = torch.cat(found)
        binary = conv.binary_input(latent)
    handle.remove()
    return latent, binary


def figures(model, **arguments):
    with undisturbed(model):
        return measure(model, batches()[0], **arguments)


def columns(x):
    return (x - x.mean(0)) / (x.var(0, correction=0) + 1e-5).sqrt()


def bound(a, b):
    """InfoNCE of N rows, image by image."""
    scores = F.normalize(a, dim=1) @ F.normalize(b, dim=1).T / 0.1
    return sum(math.log(N) + (scores[i, i] - scores[i].logsumexp(0)).item() for i in range(N)) / N


def test_bound_is_of_the_two_sides():
    model = piled()
    latent, binary = (columns(x.mean((2, 3))) for x in seen(model))
    found = figures(model)
    assert found[f'bound/{TAP}'] == pytest.approx(bound(binary, latent), abs=1e-4)
    assert abs(bound(binary, latent) - bound(binary, binary)) > 1e-3
    assert found['ceiling'] == pytest.approx(math.log(N))


def by_neck(layer, x):
    return F.linear(columns(x.mean((2, 3))), layer.weight, layer.bias)


@pytest.mark.parametrize('latent', ['SamePass', 'SecondView', 'MovingAverage'])
def test_cmims_bound_is_by_the_necks_embeddings(latent):
    model = piled(dict(type=latent))
    with torch.no_grad():
        model.neck.latent[0].weight.mul_(torch.arange(8.0)[:, None])
    a_f, a_b = seen(model)
    expected = bound(by_neck(model.neck.binary[0], a_b), by_neck(model.neck.latent[0], a_f))
    found = figures(model)[f'bound_cmim/{TAP}']
    assert found == pytest.approx(expected, abs=1e-4) and abs(found - figures(model)[f'bound/{TAP}']) > 1e-2


def test_cmims_bound_with_a_teacher_is_of_its_maps(tmp_path):
    torch.manual_seed(3)
    torch.save(MODELS.build(full_precision_twin(CLASSIFIER)).state_dict(), tmp_path / 'twin.pth')
    model = piled(dict(type='Teacher'), dict(checkpoint=str(tmp_path / 'twin.pth')))
    with undisturbed(model):
        maps = torch.cat([model.teacher.model.backbone(model.data_preprocessor(batch, False)['inputs'])[-1]
                          for batch in batches()[0]])
    a_f, a_b = seen(model)
    expected = bound(by_neck(model.neck.binary[0], a_b), by_neck(model.neck.latent[0], maps))
    assert figures(model)[f'bound_cmim/{TAP}'] == pytest.approx(expected, abs=1e-4)
    same_pass = bound(by_neck(model.neck.binary[0], a_b), by_neck(model.neck.latent[0], a_f))
    assert abs(expected - same_pass) > 1e-2


def test_estimator_is_in_the_mode_of_training():
    """ReCU standardizes its input in training: however large it is, as much of it is saturated."""
    model = piled(binarizer='ReCU')
    before = figures(model)[f'saturated/{TAP}']
    block = model.backbone.layer3[4]
    block.register_forward_hook(lambda _, x, y: 50 * y)
    found = figures(model)[f'saturated/{TAP}']
    assert found == pytest.approx(before, abs=8) and found < 60
    assert not any(m.training for m in model.eval().modules())


def test_classes_are_told_by_standardized_binary_features():
    """Of a layer whose channels lean to one side, so that without it all images look alike."""
    model, labels = piled(), batches()[1]
    layer = 'layer1.5.conv1'
    lean = torch.linspace(-1, 1, 16)[:, None, None]
    model.backbone.layer1[4].register_forward_hook(lambda _, x, y: y + lean)
    _, binary = seen(model, layer)
    features = columns(binary.mean((2, 3)))
    expected, plain = (100 * knn_accuracy(x, labels) for x in (features, binary.mean((2, 3))))
    assert figures(model, layers=(0, ))[f'knn/{layer}'] == pytest.approx(expected, abs=1e-4)
    assert expected != plain
    assert figures(model)['majority'] == pytest.approx(100 / 3)


def test_dense_classes_are_those_of_the_cells():
    torch.manual_seed(0)
    backbone = MODELS.build(CLASSIFIER['backbone']).eval()

    class Dense(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.backbone = backbone

        def data_preprocessor(self, batch, training):
            return batch

    labels = torch.arange(16).view(1, 4, 4).repeat_interleave(8, 1).repeat_interleave(8, 2) // 8
    labels[:, :8, :8] = 255
    samples = [SegDataSample(gt_sem_seg=PixelData(data=labels)) for _ in range(4)]
    with torch.no_grad():
        found = measure(Dense(), [dict(inputs=torch.randn(4, 3, 32, 32), data_samples=samples)], (-1, ))
    assert found['majority'] == pytest.approx(100 * 8 / 15) and f'knn/{TAP}' in found
