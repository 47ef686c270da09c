"""MemoryBank: what is drawn, what is masked, what an update leaves, resume."""
import io

import pytest
import torch
import torch.nn.functional as F
from toy_cmim import ToyCMIM, train

from cmim_mm.models.memory import MemoryBank


def unit(*shape, seed=0):
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


def test_first_rows_follow_from_the_seed_and_have_unit_norm_on_average():
    one, same, other = MemoryBank(500, 64), MemoryBank(dim=64), MemoryBank(500, 64, seed=1)
    same.allocate(500)
    assert torch.equal(one.latent, same.latent) and torch.equal(one.binary, same.binary)
    assert not torch.equal(one.latent, other.latent) and not torch.equal(one.latent, one.binary)
    assert one.latent.square().sum(1).mean() == pytest.approx(1, abs=0.02)
    assert one.latent.abs().max() <= (3 / 64)**0.5


def test_a_draw_follows_from_seed_and_step_alone():
    idx = torch.arange(4)
    bank, same = MemoryBank(50, 8, num_negatives=20), MemoryBank(50, 8, num_negatives=20)
    state = torch.get_rng_state()
    first = bank.draw(idx)
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(3)
    assert torch.equal(same.draw(idx).indices, first.indices)
    bank.update(idx, unit(4, 8), unit(4, 8))
    second = bank.draw(idx)
    assert not torch.equal(second.indices, first.indices)
    assert torch.equal(second.latent, bank.latent[second.indices])
    assert torch.equal(second.binary, bank.binary[second.indices])


def test_every_row_is_drawn_equally_often():
    bank = MemoryBank(10, 4, num_negatives=9)
    counts = torch.zeros(10)
    for step in range(400):
        counts += torch.bincount(bank.draw(torch.tensor([0])).indices, minlength=10)
        bank.steps.fill_(step + 1)
        bank._host = None
    assert ((counts - 360).abs() < 90).all()  # five standard deviations


def test_own_image_and_own_class_are_masked_for_each_anchor():
    bank = MemoryBank(6, 4, num_negatives=6, other_classes_only=True)
    bank.labels.copy_(torch.tensor([0, 1, 0, 2, -1, 1]))
    mask = bank.draw(torch.tensor([0, 1, 4]), torch.tensor([0, 2, -1])).mask
    assert mask.tolist() == [[False, True, False, True, True, True],
                             [True, False, True, False, True, True],
                             [True, True, True, True, False, True]]
    bank.other_classes_only = False
    assert bank.draw(torch.tensor([0, 1, 4]), torch.tensor([0, 2, -1])).mask.sum(1).tolist() == [5, 5, 5]


def test_explicit_rows_are_taken_as_they_are():
    bank = MemoryBank(9, 4)
    indices = torch.randint(9, (3, 5), generator=torch.Generator().manual_seed(0))
    negatives = bank.draw(indices[:, 0], indices=indices)
    assert torch.equal(negatives.latent, bank.latent[indices]) and negatives.mask.all()


def test_positions_of_dense_embeddings_are_anchors():
    z = unit(6, 4)
    images, classes = torch.tensor([7, 7, 7, 9, 9, 9]), torch.tensor([0, 1, 1, 1, 0, -1])
    memory = MemoryBank(dim=4, kind='batch')
    negatives = memory.draw(images, classes, z, -z)
    assert torch.equal(negatives.mask, images[:, None] != images)
    assert torch.equal(negatives.latent, z) and torch.equal(negatives.binary, -z)
    positions = torch.arange(6)
    memory.other_classes_only = True
    mask = memory.draw(positions, classes, z, z).mask
    assert mask.tolist() == [[bool(a != b and (classes[a] != classes[b] or classes[b] < 0)) for b in range(6)]
                             for a in range(6)]


def test_batch_negatives_have_gradients_and_a_bank_has_none():
    idx, z = torch.arange(3), unit(3, 4).requires_grad_()
    MemoryBank(dim=4, kind='batch').draw(idx, None, z, z).latent.sum().backward()
    assert z.grad.any()
    assert not MemoryBank(5, 4).draw(idx, None, z, z).latent.requires_grad


@pytest.mark.parametrize('dtype, tolerance', [('float32', 1e-6), ('bfloat16', 1e-2)])
def test_bank_update(dtype, tolerance):
    bank = MemoryBank(5, 8, momentum=0.25, dtype=dtype)
    before, z = bank.latent.clone().float(), unit(2, 8)
    bank.update(torch.tensor([3, 0]), z, -z, torch.tensor([6, 7]))
    assert bank.latent.dtype == bank.binary.dtype == getattr(torch, dtype)
    expected = F.normalize(0.25 * before[[3, 0]] + 0.75 * z, dim=1)
    torch.testing.assert_close(bank.latent[[3, 0]].float(), expected, rtol=0, atol=tolerance)
    assert torch.equal(bank.latent[[1, 2, 4]].float(), before[[1, 2, 4]])
    assert bank.labels.tolist() == [7, -1, -1, 6, -1] and bank.steps == 1
    assert bank.draw(torch.tensor([1])).latent.dtype == torch.float32


def test_of_an_image_twice_in_a_batch_the_first_counts():
    bank, other = MemoryBank(5, 8), MemoryBank(5, 8)
    z = unit(4, 8)
    bank.update(torch.tensor([2, 1, 2, 2]), z, z, torch.tensor([5, 6, 7, 8]))
    other.update(torch.tensor([2, 1]), z[:2], z[:2], torch.tensor([5, 6]))
    assert torch.equal(bank.latent, other.latent) and torch.equal(bank.labels, other.labels)


def test_queue_fills_wraps_and_masks_what_is_empty():
    queue = MemoryBank(5, 4, kind='queue', num_negatives=5)
    assert not queue.draw(torch.tensor([0])).mask.any()
    z = unit(9, 4)
    queue.update(torch.tensor([10, 11, 12]), z[:3], -z[:3])
    assert queue.draw(torch.tensor([11])).mask.tolist() == [[True, False, True, False, False]]
    queue.update(torch.tensor([13, 14, 15]), z[3:6], -z[3:6])
    assert queue.identity.tolist() == [15, 11, 12, 13, 14]
    assert torch.equal(queue.latent, z[[5, 1, 2, 3, 4]]) and torch.equal(queue.binary, -queue.latent)
    queue.update(torch.arange(20, 29), z, z)
    assert sorted(queue.identity.tolist()) == [24, 25, 26, 27, 28]
    queue.update(torch.tensor([30]), z[:1], z[:1])
    assert sorted(queue.identity.tolist()) == [25, 26, 27, 28, 30]


def test_a_short_draw_from_a_queue_takes_filled_rows():
    queue = MemoryBank(100, 4, kind='queue', num_negatives=30)
    queue.update(torch.arange(8), unit(8, 4), unit(8, 4))
    negatives = queue.draw(torch.tensor([50]))
    assert negatives.indices.max() < 8 and negatives.mask.all()


def test_bank_rows_as_positives():
    bank, z, idx = MemoryBank(5, 4, positive='bank'), unit(2, 4), torch.tensor([4, 1])
    latent, binary = bank.positives(idx, z, z)
    assert torch.equal(latent, bank.latent[idx]) and torch.equal(binary, bank.binary[idx])
    assert MemoryBank(5, 4).positives(idx, z, -z)[1] is not z
    assert MemoryBank(5, 4).positives(idx, z, -z)[0] is z


def reload(state):
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@pytest.mark.parametrize('kind', ['bank', 'queue', 'batch'])
def test_resumed_equals_uninterrupted(kind):
    whole, half = ToyCMIM(kind), ToyCMIM(kind)
    losses = train(whole, range(6))
    train(half, range(3))
    resumed = ToyCMIM(kind, num_rows=None if kind == 'bank' else 16)  # a bank without rows until it loads
    resumed.load_state_dict(reload(half.state_dict()))
    assert train(resumed, range(3, 6)) == losses[3:]
    other = ToyCMIM(kind)
    train(other, range(5))  # a run that is ahead goes back to it
    other.load_state_dict(reload(half.state_dict()))
    assert train(other, range(3, 6)) == losses[3:]
    for name, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value) and torch.equal(other.state_dict()[name], value)


def test_loading_takes_the_rows_of_the_checkpoint_over_its_own():
    saved = MemoryBank(7, 4).state_dict()
    bank = MemoryBank(9, 4, seed=5)
    bank.draw(torch.tensor([0]))
    bank.load_state_dict(reload(saved))
    assert torch.equal(bank.binary, MemoryBank(7, 4).binary) and bank.labels.shape == (7, )


def test_errors_say_what_to_do():
    for arguments, message in [
            (dict(kind='banc'), "kind 'banc' is unknown; choose one of bank, queue, batch"),
            (dict(dtype='float16'), "dtype 'float16' is unknown"),
            (dict(positive='row'), "positive 'row' is unknown"),
            (dict(kind='queue'), 'needs num_rows'),
            (dict(num_rows=4, kind='queue', positive='bank'), "needs kind='bank', got kind='queue'"),
            (dict(momentum=1.0), r'momentum must be in \[0, 1\), got 1.0')]:
        with pytest.raises(ValueError, match=message):
            MemoryBank(**arguments)
    with pytest.raises(ValueError, match='needs the labels'):
        MemoryBank(4, 4, other_classes_only=True).draw(torch.tensor([0]))
    for use in (lambda: MemoryBank(dim=4).draw(torch.tensor([0])),
                lambda: MemoryBank(dim=4).update(torch.tensor([0]), unit(1, 4), unit(1, 4))):
        with pytest.raises(RuntimeError, match=r'no rows yet.*MemoryBankHook.*allocate\(len\(dataset\)\)'):
            use()
