"""The neck: what it embeds, what trains, and what it hands on."""
import pytest
import torch
import torch.nn.functional as F
from cmim_models import BATCH, build, images, samples
from mmengine.optim import build_optim_wrapper

from cmim_mm.models import ContrastiveMINeck
from cmim_mm.models.features import Features

pytestmark = pytest.mark.usefixtures('mmseg_scope')


def record(channels=4, size=(4, 6), n=3):
    torch.manual_seed(0)
    latent = torch.randn(n, channels, *size, requires_grad=True)
    return Features([latent], pairs=[(latent, latent.sign())], tap_names=('tap', ),
                    inputs=torch.randn(n, 3, 8, 8))


def embedded(layer, x):
    return F.normalize(F.linear(x, layer.weight, layer.bias), dim=-1)


def test_embedding_is_linear_and_normalized():
    features, neck = record(), ContrastiveMINeck([4], dim=5, standardize=False)
    (found, ) = neck(features).embeddings
    latent, binary = features.pairs[0]
    torch.testing.assert_close(found.latent[:, 0], embedded(neck.latent[0], latent.mean((2, 3))))
    torch.testing.assert_close(found.binary[:, 0], embedded(neck.binary[0], binary.mean((2, 3))))
    assert found.name == 'tap' and found.grid is None
    assert not torch.equal(neck.latent[0].weight, neck.binary[0].weight)


@pytest.mark.parametrize('trained', [True, False])
@pytest.mark.parametrize('n', [64, 1])
def test_standardized_input_has_no_common_mean(trained, n):
    features, neck = record(n=n), ContrastiveMINeck([4], dim=5, trained=trained)
    x = features.pairs[0][0].mean((2, 3))
    x = (x - x.mean(0)) / (x.var(0, unbiased=False) + 1e-5).sqrt()
    torch.testing.assert_close(neck(features).embeddings[0].latent[:, 0], embedded(neck.latent[0], x))


def test_poolings():
    features = record()
    latent, binary = features.pairs[0]
    flat = ContrastiveMINeck([4], dim=5, pooling='flatten', grid=(4, 6), standardize=False)
    torch.testing.assert_close(
        flat(features).embeddings[0].latent[:, 0], embedded(flat.latent[0], latent.flatten(1)))
    cells = ContrastiveMINeck([4], dim=5, pooling='spatial', grid=(2, 3), standardize=False)
    (found, ) = cells(features).embeddings
    assert found.latent.shape == (3, 6, 5) and found.grid == (2, 3)
    cell = binary[:, :, 2:4, 2:4].mean((2, 3))  # row 1, column 1: position 4
    torch.testing.assert_close(found.binary[:, 4], embedded(cells.binary[0], cell))
    every = ContrastiveMINeck([4], dim=5, pooling='spatial', standardize=False)
    (found, ) = every(features).embeddings
    assert found.grid == (4, 6)
    torch.testing.assert_close(found.latent[:, 8], embedded(every.latent[0], latent[:, :, 1, 2]))
    features.pairs = [(latent[:, :, :, ::2], binary[:, :, ::2])]  # as a teacher whose maps round down
    (found, ) = every(features).embeddings
    assert found.grid == (2, 3)
    pooled = F.adaptive_avg_pool2d(latent[:, :, :, ::2], (2, 3))
    torch.testing.assert_close(found.latent[:, 4], embedded(every.latent[0], pooled[:, :, 1, 1]))
    pooled = F.adaptive_avg_pool2d(binary[:, :, ::2], (2, 3))
    torch.testing.assert_close(found.binary[:, 4], embedded(every.binary[0], pooled[:, :, 1, 1]))


@pytest.mark.parametrize('trained', [True, False])
def test_embeddings_are_in_the_optimizer_or_not(trained):
    model = build(neck=dict(trained=trained))
    wrapper = build_optim_wrapper(model, dict(optimizer=dict(type='SGD', lr=0.1)))
    held = {id(p) for group in wrapper.param_groups for p in group['params']}
    parts = [getattr(layer[0], name) for layer in (model.neck.binary, model.neck.latent)
             for name in ('weight', 'bias')]
    assert [id(part) in held for part in parts] == [trained] * 4
    before = [part.clone() for part in parts]
    model.train_step(dict(inputs=images(), data_samples=samples()), wrapper)
    assert [torch.equal(part, b) for part, b in zip(parts, before)] == [not trained] * 4
    keys = {k for k in model.state_dict() if k.startswith('neck.')}
    assert keys == {f'neck.{s}.0.{k}' for s in ('binary', 'latent') for k in ('weight', 'bias')}


def test_hands_features_through_in_eval_mode():
    features = record()
    neck = ContrastiveMINeck([4], dim=5).eval()
    assert neck(features) is features
    inner = dict(type='FPN', in_channels=[4], out_channels=7, num_outs=1)
    neck = ContrastiveMINeck([4], dim=5, inner=inner)
    assert neck(features)[0].shape[1] == 7 and neck(features).embeddings
    maps = neck.eval()(features)
    assert maps[0].shape[1] == 7 and not hasattr(maps, 'embeddings')


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_float32_under_autocast_and_from_half_precision(dtype):
    features = record()
    features.pairs = [tuple(x.to(dtype) for x in features.pairs[0])]
    with torch.autocast('cpu', torch.bfloat16):
        (found, ) = ContrastiveMINeck([4], dim=5)(features).embeddings
    assert found.latent.dtype == torch.float32
    torch.testing.assert_close(found.latent.norm(dim=2), torch.ones(3, 1))


@pytest.mark.parametrize('pooling', [dict(pooling='avg'), dict(pooling='spatial', grid=(2, 3))])
def test_gradients_keep_the_channels_last(pooling):
    features, formats = record(), []
    latent = features.pairs[0][0].detach().contiguous(memory_format=torch.channels_last).requires_grad_()
    latent.register_hook(lambda g: formats.append(g.is_contiguous(memory_format=torch.channels_last)))
    features.pairs = [(latent, latent.detach().sign())]
    ContrastiveMINeck([4], dim=5, **pooling)(features).embeddings[0].latent.square().sum().backward()
    assert formats == [True] and latent.grad.isfinite().all()


@pytest.mark.parametrize('arguments, message', [
    (dict(pooling='max'), "pooling='max' is unknown; valid are 'avg'"),
    (dict(pooling='flatten'), "'flatten' needs grid"),
    (dict(grid=(2, 2)), "'avg' takes none"),
    (dict(pooling='spatial', latent=dict(type='SecondView')), 'SecondView shows another view'),
    (dict(pooling='spatial', latent=dict(type='MovingAverage', second_view=True)), 'MovingAverage shows'),
])
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        ContrastiveMINeck([4], **arguments)


def test_what_does_not_fit_is_named():
    with pytest.raises(ValueError, match='set its taps'):
        ContrastiveMINeck([6], dim=5)([torch.ones(1)])
    with pytest.raises(ValueError, match='latent side of tap has 4 features, in_channels says 6'):
        ContrastiveMINeck([6], dim=5)(record())
    with pytest.raises(ValueError, match='1 taps for 2 in_channels'):
        ContrastiveMINeck([4, 4], dim=5)(record())
    with pytest.raises(ValueError, match=r'grid=\(4, 6\), but the latent side of tap is \(5, 6\)'):
        ContrastiveMINeck([4], pooling='flatten', grid=(4, 6))(record(size=(5, 6)))
    with pytest.raises(ValueError, match=r'grid=\(5, 6\) is finer than the latent side of tap.* \(4, 6\)'):
        ContrastiveMINeck([4], pooling='spatial', grid=(5, 6))(record())
    model = build(memory=BATCH)
    model.backbone.layer3.eval()
    with pytest.raises(ValueError, match='the tapped layer3.5.conv1 is in eval mode'):
        model.extract_feat(images())
