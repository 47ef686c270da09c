"""mmseg's heads with the loss at label size: values and gradients are mmseg's."""
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.models import decode_heads
from mmseg.models.losses import CrossEntropyLoss
from mmseg.structures import SegDataSample
from torch import nn
from torch.nn import functional as F

from cmim_mm.analysis.cost import model_cost
from cmim_mm.models.heads import seg_heads
from cmim_mm.models.losses.label_size import upsampled_cross_entropy

CHANNELS = (6, 8, 10, 12)
LAST = dict(in_channels=12, in_index=3)
ALL = dict(in_channels=list(CHANNELS), in_index=[0, 1, 2, 3])
HEADS = dict(
    FCNHead=dict(LAST, num_convs=1), ASPPHead=dict(LAST, dilations=(1, 2)),
    DepthwiseSeparableASPPHead=dict(LAST, dilations=(1, 2), c1_in_channels=6, c1_channels=4),
    UPerHead=dict(ALL, pool_scales=(1, 2)), SegformerHead=ALL)


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def labels(n: int, classes: int, size: tuple, ignore: int = 255) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    drawn = torch.randint(classes, (n, *size), generator=generator)
    return drawn.masked_fill(torch.rand(n, *size, generator=generator) < 0.3, ignore)


def samples(label_maps: torch.Tensor) -> list:
    found = []
    for label in label_maps:
        sample = SegDataSample()
        sample.gt_sem_seg = PixelData(data=label[None])
        found.append(sample)
    return found


def build(module, name: str, **kwargs):
    head = getattr(module, name)(**{**HEADS[name], 'channels': 8, 'num_classes': 5, 'dropout_ratio': 0.0,
                                    'norm_cfg': dict(type='BN'), **kwargs})
    with torch.no_grad():
        for i, parameter in enumerate(head.parameters()):
            parameter.copy_(0.3 * random(*parameter.shape, seed=i))
    return head


def results(head, label_maps: torch.Tensor, size=(13, 17)) -> dict:
    maps = [random(2, c, -(-size[0] // 2**i), -(-size[1] // 2**i), seed=i).requires_grad_()
            for i, c in enumerate(CHANNELS)]
    losses = head.loss(maps, samples(label_maps), {})
    losses['loss_ce'].backward()
    gradients = {name: p.grad for name, p in head.named_parameters() if p.grad is not None}
    return {**{k: v.detach().squeeze() for k, v in losses.items()}, **gradients,
            **{f'map {i}': x.grad for i, x in enumerate(maps) if x.grad is not None}}


@pytest.mark.parametrize('name', HEADS)
@pytest.mark.parametrize('kwargs', [{}, dict(align_corners=True, ignore_index=3), dict(loss_decode=dict(
    type='CrossEntropyLoss', avg_non_ignore=True, loss_weight=0.4)), dict(loss_decode=dict(
        type='CrossEntropyLoss', class_weight=[1.0, 2.0, 3.0, 4.0, 5.0]))],
    ids=['default', 'corners', 'non_ignore', 'class_weight'])
def test_heads_equal_mmsegs(name, kwargs):
    label_maps = labels(2, 5, (26, 35), kwargs.get('ignore_index', 255))
    if 'class_weight' in kwargs.get('loss_decode', {}):
        label_maps %= 5  # mmseg's class weights end in an IndexError where a pixel is ignored
    found, expected = (results(build(module, name, **kwargs), label_maps)
                       for module in (seg_heads, decode_heads))
    assert found.keys() == expected.keys() and len(found) > 6
    for key in found:
        torch.testing.assert_close(found[key], expected[key], rtol=1e-4, atol=1e-5, msg=key)


def test_segformer_head_without_a_norm_and_in_eval_mode():
    maps = [random(1, c, 2**(4 - i), 3 * 2**(3 - i), seed=i) for i, c in enumerate(CHANNELS)]
    for kwargs in (dict(norm_cfg=None), dict(interpolate_mode='nearest', align_corners=None)):
        found, expected = (build(module, 'SegformerHead', **kwargs).eval()(maps)
                           for module in (seg_heads, decode_heads))
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize('dtype', [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize('align_corners', [False, True])
def test_upsampled_cross_entropy(dtype, align_corners):
    logits = (4 * random(3, 5, 4, 6)).to(dtype).requires_grad_()
    label_maps = labels(3, 5, (9, 14))
    total, correct = upsampled_cross_entropy(logits, label_maps, 255, align_corners)
    exact = logits.to(torch.promote_types(dtype, torch.float32))
    scores = F.interpolate(exact, (9, 14), mode='bilinear', align_corners=align_corners)
    expected = F.cross_entropy(scores, label_maps, ignore_index=255, reduction='sum')
    torch.testing.assert_close(total, expected, rtol=1e-12 if dtype == torch.float64 else 1e-5, atol=0)
    assert correct == (scores.argmax(1) == label_maps).sum()
    found, wanted = (torch.autograd.grad(3 * value, logits)[0] for value in (total, expected))
    assert found.dtype == dtype
    tolerance = {torch.float64: 1e-12, torch.float32: 1e-5}.get(dtype, 1e-2)
    torch.testing.assert_close(found, wanted, rtol=tolerance, atol=tolerance)


def test_large_logits_and_images_without_labels():
    logits = (1e4 * random(2, 5, 3, 3)).requires_grad_()
    label_maps = labels(2, 5, (6, 6))
    label_maps[1] = 255
    total, _ = upsampled_cross_entropy(logits, label_maps, 255, False)
    scores = F.interpolate(logits, (6, 6), mode='bilinear')
    torch.testing.assert_close(total, F.cross_entropy(scores, label_maps, ignore_index=255, reduction='sum'))
    total.backward()
    assert logits.grad[0].any() and not logits.grad[1].any()
    head = build(seg_heads, 'FCNHead', loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True))
    found = results(head, torch.full((2, 26, 34), 255))
    assert found['loss_ce'] == 0 and all(value.isfinite().all() for value in found.values())


def test_the_cost_counts_each_map_at_its_own_size():
    head = build(seg_heads, 'SegformerHead').eval()

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.pools = nn.ModuleList(nn.AvgPool2d(2**i) for i in range(4))
            self.decode_head = head

        def forward(self, x):
            return self.decode_head([pool(x).mean(1, keepdim=True).repeat(1, c, 1, 1)
                                     for pool, c in zip(self.pools, CHANNELS)])

    layers = {layer.name: layer for layer in model_cost(Net(), (3, 16, 16)).layers}
    assert layers['decode_head.fusion_conv.conv'].macs == 8 * 8 * (256 + 64 + 16 + 4)


def test_other_losses_are_left_to_mmseg():
    plain = CrossEntropyLoss()
    assert seg_heads._is_plain(plain)
    for kwargs in (dict(use_sigmoid=True), dict(class_weight=[1.0, 2.0]), dict(reduction='sum')):
        assert not seg_heads._is_plain(CrossEntropyLoss(**kwargs))


def test_what_has_the_labels_size_exists_for_one_image_at_a_time():
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    class Largest(TorchDispatchMode):
        size = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            result = func(*args, **(kwargs or {}))
            sizes = [t.numel() for t in tree_leaves(result) if isinstance(t, torch.Tensor)]
            self.size = max([self.size, *sizes])
            return result

    with Largest() as largest:
        results(build(seg_heads, 'SegformerHead'), labels(2, 5, (52, 68)))
    assert largest.size == 5 * 52 * 68
