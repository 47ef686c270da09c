"""MemoryFormatHook: every map and weight in one format, values as before."""
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import nn

from cmim_mm.engine import MemoryFormatHook


def build(repository, task: str) -> nn.Module:
    cfg = Config.fromfile(repository / f'configs/nyud_{task}_bnn_quick.py')
    init_default_scope('mmseg')
    cfg.model.backbone.norm_eval = True
    cfg.model.decode_head.dropout_ratio = 0.0
    torch.manual_seed(0)
    return MODELS.build(cfg.model).train()


def batch() -> dict:
    generator = torch.Generator().manual_seed(1)
    samples = []
    for _ in range(2):
        sample = SegDataSample(metainfo=dict(img_shape=(64, 96), ori_shape=(64, 96)))
        sample.gt_sem_seg = PixelData(data=torch.randint(40, (1, 64, 96), generator=generator))
        sample.gt_depth_map = PixelData(data=1 + torch.rand(1, 64, 96, generator=generator))
        samples.append(sample)
    images = [torch.randint(255, (3, 64, 96), generator=generator).byte() for _ in range(2)]
    return dict(inputs=images, data_samples=samples)


def step(model: nn.Module, dtype=None) -> dict:
    """The losses, and every gradient."""
    data = model.data_preprocessor(batch(), training=True)
    with torch.autocast('cpu', dtype, enabled=dtype is not None):
        losses = model(**data, mode='loss')
    sum(value for name, value in losses.items() if 'loss' in name).backward()
    return {**{name: value.detach() for name, value in losses.items()},
            **{name: p.grad for name, p in model.named_parameters()}}


@pytest.mark.parametrize('task', ['seg', 'depth'])
@pytest.mark.parametrize('dtype', [None, torch.bfloat16])
def test_no_layer_changes_format_or_type(repository, task, dtype):
    model, seen = build(repository, task), []
    MemoryFormatHook().before_run(SimpleNamespace(model=model))

    def look(name):
        def hook(module, args, output):
            maps = [x for x in (*args, output) if isinstance(x, torch.Tensor) and x.dim() == 4]
            seen.extend((name, x.is_contiguous(memory_format=torch.channels_last), x.dtype) for x in maps)
        return hook

    for name, module in model.named_modules():
        if not isinstance(module, nn.Dropout2d) and not list(module.children()):
            module.register_forward_hook(look(name))
    step(model, dtype)
    assert len(seen) > 60 and all(last for _, last, _ in seen), [name for name, last, _ in seen if not last]
    if dtype is not None:
        others = {name for name, _, found in seen if found != dtype}
        # The image and the loss are float32.
        assert others <= {'backbone.conv1', 'decode_head.loss_decode'}


@pytest.mark.parametrize('task', ['seg', 'depth'])
def test_values_are_those_of_the_other_format(repository, task):
    results = []
    for name in ('channels_last', 'contiguous'):
        model = build(repository, task)
        MemoryFormatHook(name).before_run(SimpleNamespace(model=model))
        results.append(step(model))
    found, expected = results
    assert found.keys() == expected.keys()
    for name in found:
        if 'loss' in name:
            torch.testing.assert_close(found[name], expected[name], rtol=1e-3, atol=1e-4)
    # Another order of summation may flip a sign near 0, so gradients agree in norm only.
    for name in (name for name in found if name.startswith('decode_head') and found[name] is not None):
        error = (found[name] - expected[name]).norm() / expected[name].norm().clamp_min(1e-6)
        assert error < 0.05, name


def test_a_runner_that_trains_and_tests_converts_once(repository):
    model, hook = build(repository, 'depth'), MemoryFormatHook()
    for _ in range(2):
        hook.before_run(SimpleNamespace(model=model))
    assert len(model.data_preprocessor._forward_hooks) == 1
    keys = list(model.state_dict())
    assert keys == list(build(repository, 'depth').state_dict())
    assert model.backbone.conv1.weight.is_contiguous(memory_format=torch.channels_last)
    with pytest.raises(ValueError, match='nhwc.*channels_last, contiguous'):
        MemoryFormatHook('nhwc')
