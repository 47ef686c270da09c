"""Two linear embeddings trained with CMIM alone; a helper and a script (one rank) of the tests here.

    python toy_contrast.py FOLDER   (RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT in the environment)
"""
import atexit
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from cmim_mm.engine.distributed import leave_group
from cmim_mm.models.contrast import contrast
from cmim_mm.models.losses import CMIMLoss
from cmim_mm.registry import MODELS

IMAGES, BATCH, STEPS, DIM = 16, 6, 4, 6
#: Of the loss, the memory and the contrast: what is tried on one rank and on two.
VARIANTS = dict(
    bank=(dict(), dict(type='cmim_mm.Bank', num_negatives=8), dict(negatives='other_classes')),
    queue=(dict(), dict(type='cmim_mm.Queue', num_rows=16, num_negatives=16), {}),
    batch=(dict(form='infonce'), dict(type='cmim_mm.InBatch'), {}),
    classes=(dict(), dict(type='cmim_mm.Bank', num_negatives=8),
             dict(positives='class', negatives='other_classes')),
    neighbours=(dict(), dict(type='cmim_mm.Queue', num_rows=16, num_negatives=16),
                dict(positives='neighbour')),
    positions=(dict(), dict(type='cmim_mm.Queue', num_rows=32, num_negatives=16), {}))


class ToyContrast(nn.Module):
    """Images are vectors of 5 numbers, or three positions of them."""

    def __init__(self, variant: str) -> None:
        super().__init__()
        loss, memory, self.options = VARIANTS[variant]
        self.positions = 3 if variant == 'positions' else 1
        self.criterion, self.memory = CMIMLoss(**loss), MODELS.build(dict(memory, dim=DIM))
        if hasattr(self.memory, 'allocate'):
            self.memory.allocate(IMAGES)
        generator = torch.Generator().manual_seed(1)
        self.embeddings = nn.ParameterList(torch.randn(5, DIM, generator=generator) for _ in range(2))
        self.double()

    def forward(self, x: torch.Tensor, idx: torch.Tensor) -> torch.Tensor:
        x = torch.stack([x.roll(i, 1) for i in range(self.positions)], 1)
        identity = idx[:, None] * self.positions + torch.arange(self.positions)
        identity = torch.where(identity % 7 == 6, -1, identity) if self.positions > 1 else identity
        latent, binary = (F.normalize(x @ weight, dim=2) for weight in self.embeddings)
        labels = (idx % 3)[:, None].expand(-1, self.positions)
        return contrast(self.criterion, self.memory, latent, binary, identity, labels, **self.options).loss


def train(model: nn.Module, steps: range, rank: int = 0, ranks: int = 1) -> 'list[float]':
    """Losses of this rank; the joined batch, in which an image may be twice, is dealt out to the ranks."""
    data = torch.randn(IMAGES, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    losses = []
    for step in steps:
        generator = torch.Generator().manual_seed(step)
        idx = torch.randint(IMAGES, (BATCH, ), generator=generator)[rank::ranks]
        loss = model(data[idx], idx)
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter -= 0.1 * parameter.grad
        losses.append(loss.item())
    return losses


def main() -> None:
    torch.distributed.init_process_group('gloo')
    atexit.register(leave_group)
    rank, ranks = torch.distributed.get_rank(), torch.distributed.get_world_size()
    found = {}
    for variant in VARIANTS:
        model = ToyContrast(variant)
        losses = train(DistributedDataParallel(model, broadcast_buffers=False), range(STEPS), rank, ranks)
        found[variant] = dict(losses=losses, state=model.state_dict())
    torch.save(found, Path(sys.argv[1]) / str(rank))


if __name__ == '__main__':
    main()
