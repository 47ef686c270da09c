"""The contrast against its transcription in plain loops, the public release's figures, and by hand."""
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from plain_cmim import PlainTap

from cmim_mm.binarize import set_progress
from cmim_mm.models import Bank, CMIMHead, CMIMLoss, InBatch, contrast
from cmim_mm.models.contrast import nearest, next_of_class
from cmim_mm.models.features import Embedded, Features
from cmim_mm.models.memories import Rows
from cmim_mm.structures import ClsDataSample

GOLDEN = Path(__file__).parents[1] / 'data' / 'golden' / 'nce_memory_bank.npz'
IMAGES, DIM, GRID = 7, 5, (2, 2)
MEMORIES = dict(Bank=dict(momentum=0.25), Queue=dict(num_rows=9), InBatch={})
CASES = [(kind, form, positives, negatives, dense)
         for kind in MEMORIES for form in ('nce', 'infonce') for dense in (False, True)
         for positives, negatives in (('image', 'all'), ('image', 'other_classes'),
                                      ('class', 'other_classes'), ('neighbour', 'all'),
                                      ('neighbour', 'other_classes'), ('bank', 'all'),
                                      ('bank', 'other_classes'))
         if (positives != 'bank' or kind == 'Bank') and not (dense and kind == 'Bank')]


def batch(step, dense):
    """Images of a step with their samples, and what the transcription knows of them: an image twice, classes
    that meet, in a dense batch unlabelled cells."""
    generator = torch.Generator().manual_seed(step)
    index = torch.randint(IMAGES, (4, ), generator=generator)
    x = torch.randn(4, 4 if dense else 1, 6, dtype=torch.float64, generator=generator)
    if not dense:
        samples = [ClsDataSample(metainfo=dict(sample_idx=int(i)), gt_label=i[None] % 3) for i in index]
        return x, samples, [int(i) for i in index], [int(i) % 3 for i in index]
    cells = torch.randint(3, (4, 4), generator=generator)
    cells[0, 1] = cells[2, 3] = 255
    samples = []
    for i, labels in zip(index, cells):
        sample = SegDataSample(metainfo=dict(sample_idx=int(i)))
        big = labels.view(1, *GRID).repeat_interleave(3, 1).repeat_interleave(3, 2)
        samples.append(sample.set_data(dict(gt_sem_seg=PixelData(data=big))) or sample)
    flat = cells.flatten().tolist()
    identity = [-1 if c == 255 else int(i) * 4 + k for (i, k), c in zip(
        ((i, k) for i in index for k in range(4)), flat)]
    return x, samples, identity, [-1 if c == 255 else c for c in flat]


def embed(x, weights):
    return [F.normalize(x @ w, dim=2) for w in weights]


@pytest.mark.parametrize('case', CASES, ids=lambda c: '-'.join(map(str, c)))
def test_head_is_its_transcription_for_three_steps(case):
    """Two taps, both directions: losses, what is logged, weights after each step, and memories."""
    kind, form, positives, negatives, dense = case
    memory, tap_weights = dict(type=kind, **MEMORIES[kind]), (0.5, 2.0)
    head = CMIMHead(DIM, dict(form=form, temperature=0.5), memory, tap_weights, 3.0,
                    dict(type='linear', start=1.0, stop=0.5), positives, negatives).double()
    taps = []
    for bank in head.memories:
        rows = ()
        if kind == 'Bank':
            bank.allocate(IMAGES)
            bank.double()
            rows = [(f.clone(), b.clone(), i, -1) for i, (f, b) in enumerate(zip(bank.latent, bank.binary))]
        taps.append(PlainTap(kind, form, positives, negatives, 0.5, 9, 0.25, rows, 4 if dense else 1))
    start = torch.randn(4, 6, DIM, dtype=torch.float64, generator=torch.Generator().manual_seed(9))
    ours, plain = (start.clone().requires_grad_() for _ in range(2))
    for step in range(3):
        set_progress(head, step / 3)
        x, samples, identity, labels = batch(step, dense)
        embedded = [Embedded(*embed(x, ours[2 * k:2 * k + 2]), f'tap{k}', GRID if dense else None)
                    for k in range(2)]
        losses = head.loss(Features([], embeddings=embedded), samples)
        expected = 0
        for k, tap in enumerate(taps):
            latent, binary = (z.flatten(0, 1) for z in embed(x, plain[2 * k:2 * k + 2]))
            objective, cosine, bound = tap.step(latent, binary, identity, labels)
            for name, value in (('nce', objective), ('cosine', cosine), ('bound', bound)):
                torch.testing.assert_close(losses[f'{name}.tap{k}'], torch.as_tensor(value).detach().double())
            expected = expected + 3.0 * (1 - step / 6) * tap_weights[k] * objective
        if isinstance(expected, torch.Tensor):
            torch.testing.assert_close(losses['loss_cmim'], expected, rtol=1e-5, atol=1e-9)
            for weights, loss in ((ours, losses['loss_cmim']), (plain, expected)):
                if not loss.requires_grad:
                    continue
                gradient, = torch.autograd.grad(loss, weights)
                weights.data -= 0.1 * gradient
            torch.testing.assert_close(ours, plain, rtol=1e-5, atol=1e-8)
    assert not torch.equal(ours, start)
    for bank, tap in zip(head.memories, taps):
        if kind == 'InBatch':
            continue
        rows = {(i, f'{f[0]:.6f}'): (f, b, c) for f, b, i, c in tap.rows}
        held = range(len(bank)) if kind == 'Bank' else range(9)
        for j in held:
            row = bank.take(torch.tensor(j))
            f, b, c = rows[int(row.identity), f'{row.latent[0]:.6f}']
            torch.testing.assert_close(row.latent, f)
            torch.testing.assert_close(row.binary, b)
            assert int(row.labels) == (c if negatives == 'other_classes' else -1)


def assert_close(actual, expected, what):
    error = (actual - expected).abs().max() / expected.abs().max()
    assert error <= 1e-5, f'{what}: relative error {error:.2e}'


def test_reproduces_the_public_release():
    with np.load(GOLDEN) as arrays:
        data = {key: torch.from_numpy(arrays[key]) for key in arrays.files}
    images, dim = data['memory_s_before'].shape
    loss = CMIMLoss(float(data['temperature']))
    normalizer = torch.stack([data['Z_s'], data['Z_t']]) / images
    loss.load_state_dict({'log_normalizer': normalizer.log(), 'estimated': torch.tensor([True, True])})
    memory = Bank(dim, momentum=float(data['momentum']))
    memory.allocate(images)
    memory.binary.copy_(data['memory_s_before'])
    memory.latent.copy_(data['memory_t_before'])

    features = {side: data[f'feat_{side}'].requires_grad_() for side in 'st'}
    binary, latent = (F.normalize(F.linear(
        features[side], data[f'embed_{side}_weight'], data[f'embed_{side}_bias']), dim=1) for side in 'st')
    total = contrast(loss, memory, latent, binary, data['idx'], positives='bank',
                     indices=data['sample_idx'][:, 1:]).loss
    total.backward()

    assert_close(total.detach(), data['loss'], 'loss')
    for side in 'st':
        assert_close(features[side].grad, data[f'grad_feat_{side}'], f'gradient of feat_{side}')
    assert_close(memory.binary, data['memory_s_after'], 'bank of the binary side')
    assert_close(memory.latent, data['memory_t_after'], 'bank of the other side')


def test_cells_that_show_nothing_neither_attract_nor_repel():
    z = F.normalize(torch.randn(2, 3, DIM, generator=torch.Generator().manual_seed(0)), dim=2)
    latent, binary = z.clone().requires_grad_(), z.flip(2).requires_grad_()
    identity = torch.tensor([[0, 1, -1], [3, -1, 5]])
    found = contrast(CMIMLoss(form='infonce'), InBatch(DIM), latent, binary, identity)
    found.loss.backward()
    for side in (latent, binary):
        assert not side.grad[0, 2].any() and not side.grad[1, 1].any() and side.grad[0, 0].any()
    kept = identity.flatten() >= 0
    sides = (side.detach().flatten(0, 1)[kept] for side in (latent, binary))
    alone = contrast(CMIMLoss(form='infonce'), InBatch(DIM), *sides, identity.flatten()[kept])
    for one, other in zip(found, alone):
        torch.testing.assert_close(one, other)


def test_unknown_classes_are_no_class_of_their_own():
    z = F.normalize(torch.randn(5, DIM, generator=torch.Generator().manual_seed(0)), dim=1)
    unknown, identity = torch.full((5, ), -1), torch.arange(5)
    found = contrast(CMIMLoss(), InBatch(DIM), z, -z, identity, unknown, negatives='other_classes')
    assert found == contrast(CMIMLoss(), InBatch(DIM), z, -z, identity, unknown)


def test_class_positives_are_the_next_of_the_class():
    labels = torch.tensor([3, 0, 3, -1, 0, 3, 7, -1])
    assert next_of_class(labels).tolist() == [2, 4, 5, 3, 1, 0, 6, 7]


def test_neighbours_are_the_most_similar_of_another_identity():
    latent = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.8, 0.6], [1.0, 0.0]])
    identity = torch.tensor([4, 5, 6, 4])
    rows = torch.arange(4)
    batch = Rows(latent, -latent, identity, identity)
    assert nearest(batch, rows).tolist() == [2, 2, 0, 2]
    assert nearest(batch, rows[1::2]).tolist() == [2, 2]
    assert nearest(batch, rows, positions=2).tolist() == [2, 2, 0, 1]
    unseen = torch.tensor([4, -1, -1, 4])
    assert nearest(Rows(latent, -latent, unseen, unseen), rows).tolist() == [0, 0, 0, 3]


def test_neighbours_do_not_depend_on_autocast():
    latent = F.normalize(torch.randn(64, 16, generator=torch.Generator().manual_seed(0)) + 3, dim=1)
    batch = Rows(latent, latent, torch.arange(64), torch.arange(64))
    expected = nearest(batch, torch.arange(64))
    with torch.autocast('cpu', torch.bfloat16):
        assert torch.equal(nearest(batch, torch.arange(64)), expected)


def test_an_image_beyond_the_bank_is_named():
    bank, z = Bank(DIM), F.normalize(torch.randn(2, DIM), dim=1)
    with pytest.raises(RuntimeError, match=r'no rows yet.*Runner.*allocate\(len\(dataset\)\)'):
        contrast(CMIMLoss(), bank, z, z, torch.tensor([0, 1]))
    bank.allocate(5)
    with pytest.raises(ValueError, match='5 rows.*images 2 to 5.*sample_idx must count'):
        contrast(CMIMLoss(), bank, z, z, torch.tensor([2, 5]))
