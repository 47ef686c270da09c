"""Two linear embeddings trained with CMIM alone; a helper and a script (one rank) of the tests here.

    python toy_cmim.py FOLDER   (RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT in the environment)
"""
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from cmim_mm.models.losses import CMIMLoss
from cmim_mm.models.memory import MemoryBank

IMAGES, BATCH, STEPS = 16, 6, 4
#: Form of the loss, and arguments of the memory, tried with each kind.
VARIANTS = dict(
    bank=('nce', dict(num_negatives=8, other_classes_only=True)),
    queue=('nce', dict(num_negatives=16)),
    batch=('infonce', {}))


class ToyCMIM(nn.Module):

    def __init__(self, kind: str, num_rows: 'int | None' = IMAGES) -> None:
        super().__init__()
        form, arguments = VARIANTS[kind]
        self.criterion = CMIMLoss(form=form)
        self.memory = MemoryBank(None if kind == 'batch' else num_rows, 6, kind, **arguments)
        generator = torch.Generator().manual_seed(1)
        self.embeddings = nn.ParameterList(torch.randn(5, 6, generator=generator) for _ in range(2))
        self.double()

    def forward(self, x: torch.Tensor, idx: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        latent, binary = (F.normalize(x @ weight, dim=1) for weight in self.embeddings)
        negatives = self.memory.draw(idx, labels, latent, binary)
        to_latent, to_binary = self.memory.positives(idx, latent, binary)
        loss = (self.criterion(binary, to_latent, negatives.latent, negatives.mask, side=0)
                + self.criterion(latent, to_binary, negatives.binary, negatives.mask, side=1))
        self.memory.update(idx, latent, binary, labels)
        return loss


def train(model: nn.Module, steps: range, rank: int = 0, ranks: int = 1) -> 'list[float]':
    """Losses of this rank; the joined batch, in which an image may be twice, is dealt out to the ranks."""
    data = torch.randn(IMAGES, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    losses = []
    for step in steps:
        generator = torch.Generator().manual_seed(step)
        idx = torch.randint(IMAGES, (BATCH, ), generator=generator)[rank::ranks]
        loss = model(data[idx], idx, idx % 3)
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter -= 0.1 * parameter.grad
        losses.append(loss.item())
    return losses


def main() -> None:
    torch.distributed.init_process_group('gloo')
    rank, ranks = torch.distributed.get_rank(), torch.distributed.get_world_size()
    found = {}
    for kind in VARIANTS:
        model = ToyCMIM(kind)
        losses = train(DistributedDataParallel(model, broadcast_buffers=False), range(STEPS), rank, ranks)
        found[kind] = dict(losses=losses, state=model.state_dict())
    torch.save(found, Path(sys.argv[1]) / str(rank))
    torch.distributed.destroy_process_group()


if __name__ == '__main__':
    main()
