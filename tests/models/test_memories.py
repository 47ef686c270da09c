"""The memories: one contract for all that is registered, then what each draws, keeps and refuses."""
import io

import pytest
import torch
import torch.nn.functional as F
from toy_contrast import VARIANTS, ToyContrast, train

from cmim_mm.models import Bank, InBatch, Memory, Queue
from cmim_mm.models.memories import Rows
from cmim_mm.registry import MODELS

KINDS = sorted(name for name, part in MODELS.module_dict.items()
               if isinstance(part, type) and issubclass(part, Memory))


def unit(*shape, seed=0):
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


def rows(identity, labels=None, dim=4, seed=0):
    z = unit(len(identity), dim, seed=seed)
    labels = [-1] * len(identity) if labels is None else labels
    return Rows(z, -z, torch.tensor(identity), torch.tensor(labels))


def bank(images=10, dim=4, **arguments):
    memory = Bank(dim, **arguments)
    memory.allocate(images)
    return memory


def reload(state):
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@pytest.mark.parametrize('kind', KINDS)
def test_contract(kind):
    """Draws without the global generator, the same after a reload; keeps its state in buffers alone."""
    def build():
        memory = MODELS.build(dict(type=f'cmim_mm.{kind}', dim=4))
        if memory.per_image:
            memory.allocate(10)
        return memory

    memory = build()
    assert memory.dim == 4 and memory.origin == {**memory.origin, 'memory': kind, 'dim': 4}
    for step in range(3):
        batch, state = rows([3, 1, 5], [0, 1, 0], seed=step), torch.get_rng_state()
        memory.admit(batch.identity)
        other = build()
        other.load_state_dict(reload(memory.state_dict()))
        drawn, again = memory.draw(batch), other.draw(batch)
        assert all(map(torch.equal, drawn, again)) and torch.equal(torch.get_rng_state(), state)
        assert drawn.latent.shape == drawn.binary.shape == (len(drawn.identity), 4)
        memory.update(batch.detach())
    assert not list(memory.parameters())
    memory.restart()
    fresh = build()
    for name, value in fresh.state_dict().items():
        assert torch.equal(memory.state_dict()[name], value), name


@pytest.mark.parametrize('variant', VARIANTS)
def test_resumed_equals_uninterrupted(variant):
    whole, half = ToyContrast(variant), ToyContrast(variant)
    losses = train(whole, range(6))
    train(half, range(3))
    resumed, ahead = ToyContrast(variant), ToyContrast(variant)
    if isinstance(resumed.memory, Bank):
        resumed.memory.resize(0)  # a bank without rows until it loads
    train(ahead, range(5))  # a run that is ahead goes back
    for model in (resumed, ahead):
        model.load_state_dict(reload(half.state_dict()))
        assert train(model, range(3, 6)) == losses[3:]
        for name, value in whole.state_dict().items():
            assert torch.equal(model.state_dict()[name], value), name


def test_first_rows_follow_from_the_seed_and_have_unit_norm_on_average():
    one, same, other = bank(500, 64), bank(500, 64), bank(500, 64, seed=1)
    assert torch.equal(one.latent, same.latent) and torch.equal(one.binary, same.binary)
    assert not torch.equal(one.latent, other.latent) and not torch.equal(one.latent, one.binary)
    assert one.latent.square().sum(1).mean() == pytest.approx(1, abs=0.02)
    assert one.latent.abs().max() <= (3 / 64)**0.5


def test_a_draw_follows_from_seed_tap_and_step():
    memory, batch = bank(50, num_negatives=20), rows([0, 1])
    first = memory.draw(batch).identity
    torch.rand(3)
    assert torch.equal(memory.draw(batch).identity, first)
    memory.update(batch)
    second = memory.draw(batch)
    assert not torch.equal(second.identity, first)
    assert torch.equal(second.latent, memory.latent[second.identity])
    assert torch.equal(second.binary, memory.binary[second.identity])
    memory.tap = 1
    assert not torch.equal(memory.draw(batch).identity, second.identity)


def test_every_row_is_drawn_equally_often():
    memory, counts = bank(10, num_negatives=9), torch.zeros(10)
    for _ in range(400):
        counts += torch.bincount(memory.draw(rows([0])).identity, minlength=10)
        memory.update(rows([0]))
    assert ((counts - 360).abs() < 90).all()  # five standard deviations


@pytest.mark.parametrize('dtype, tolerance', [('float32', 1e-6), ('bfloat16', 1e-2)])
def test_bank_update(dtype, tolerance):
    memory, batch = bank(5, 8, momentum=0.25, dtype=dtype), rows([3, 0], [6, 7], dim=8)
    before = memory.latent.float().clone()
    memory.update(batch)
    assert memory.latent.dtype == memory.binary.dtype == getattr(torch, dtype)
    expected = F.normalize(0.25 * before[[3, 0]] + 0.75 * batch.latent, dim=1)
    torch.testing.assert_close(memory.latent[[3, 0]].float(), expected, rtol=0, atol=tolerance)
    assert torch.equal(memory.latent[[1, 2, 4]].float(), before[[1, 2, 4]])
    assert memory.labels.tolist() == [7, -1, -1, 6, -1] and memory.steps == 1
    assert memory.draw(batch).latent.dtype == torch.float32


def test_of_an_image_twice_in_a_batch_the_first_counts():
    memory, other, batch = bank(5), bank(5), rows([2, 1, 2, 2], [5, 6, 7, 8])
    memory.update(batch)
    other.update(Rows(*(x[:2] for x in batch)))
    assert torch.equal(memory.latent, other.latent) and torch.equal(memory.labels, other.labels)


@pytest.mark.parametrize('momentum', [0.5, 0.9])
def test_a_bank_in_half_precision_follows_what_it_should(momentum):
    memories = [bank(1, 128, momentum=momentum, dtype=dtype) for dtype in ('float32', 'bfloat16')]
    for memory in memories:
        memory.restart()
        for _ in range(100):
            memory.update(rows([0], dim=128))
    assert F.cosine_similarity(*(m.take(torch.tensor([0])).latent for m in memories)) > 0.999


def test_queue_fills_wraps_and_leaves_empty_rows_out():
    queue = Queue(5, 4, num_negatives=5)
    assert queue.draw(rows([0])).identity.tolist() == [-1] * 5
    batch = rows([10, 11, 12, 13, 14, 15])
    queue.update(Rows(*(x[:3] for x in batch)))
    assert queue.draw(batch).identity.tolist() == [10, 11, 12, -1, -1]
    queue.update(Rows(*(x[3:] for x in batch)))
    assert queue.identity.tolist() == [15, 11, 12, 13, 14]
    assert torch.equal(queue.latent, batch.latent[[5, 1, 2, 3, 4]])
    assert torch.equal(queue.binary, -queue.latent)
    queue.update(rows(list(range(20, 29))))
    assert sorted(queue.identity.tolist()) == [24, 25, 26, 27, 28]
    queue.update(rows([30]))
    assert sorted(queue.identity.tolist()) == [25, 26, 27, 28, 30]


def test_a_short_draw_from_a_queue_takes_filled_rows():
    queue = Queue(100, 4, num_negatives=30)
    queue.update(rows(list(range(8))))
    assert queue.draw(rows([50])).identity.unique().tolist() == list(range(8))


def test_only_the_batch_itself_has_gradients():
    z = unit(3, 4).requires_grad_()
    batch = Rows(z, z, torch.arange(3), torch.arange(3))
    InBatch(4).draw(batch).latent.sum().backward()
    assert z.grad.any()
    assert not bank().draw(batch).latent.requires_grad and not Queue(8, 4).draw(batch).latent.requires_grad


@pytest.mark.parametrize('there, here, differs', [
    (lambda: bank(7), lambda: Queue(7, 4), "memory 'Bank' there, 'Queue' here"),
    (lambda: Queue(7, 4), lambda: Queue(9, 4), 'num_rows 7 there, 9 here'),
    (lambda: Queue(7, 4), InBatch, "dim 4 there, 128 here"),
    (lambda: bank(7), lambda: bank(7), "data 'A, 7 images' there, 'B, 7 images' here")])
def test_rows_of_another_memory_embedding_or_data_are_refused(there, here, differs):
    there, here = there(), here()
    there.origin['data'], here.origin['data'] = 'A, 7 images', 'A, 7 images'
    if 'data' in differs:
        here.origin['data'] = 'B, 7 images'
    there.check_origin()
    here.load_state_dict(reload(there.state_dict()), strict=False)
    with pytest.raises(ValueError, match=f'{differs}.*load_from=CHECKPOINT without --resume'):
        here.check_origin()
    here.restart()
    here.check_origin()  # a new run


@pytest.mark.parametrize('build, message', [
    (lambda: Bank(dtype='float16'), "dtype='float16' is unknown"),
    (lambda: Bank(momentum=1.0), 'momentum=1.0, expected 0 <= momentum < 1'),
    (lambda: Bank(momentum=0.99, dtype='bfloat16'), "use dtype='float32', or a momentum of at most 0.9"),
    (lambda: Bank(num_negatives=0), 'num_negatives=0, expected 1 or more'),
    (lambda: Queue(num_negatives=-3), 'num_negatives=-3'),
    (lambda: Queue(0), 'num_rows=0, expected 1 or more')])
def test_errors_say_what_to_do(build, message):
    with pytest.raises(ValueError, match=message):
        build()
