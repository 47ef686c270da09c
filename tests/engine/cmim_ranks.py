"""A classifier trained with CMIM on a batch dealt out to ranks; a helper and a script of the tests here.

    python cmim_ranks.py FOLDER     trains on two gloo ranks, which write FOLDER/0 and FOLDER/1
"""
import atexit
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import torch
from tiny_cmim import images, model_cfg
from torch.nn.parallel import DistributedDataParallel

from cmim_mm.engine import BinarizationProgressHook
from cmim_mm.engine.distributed import leave_group
from cmim_mm.registry import MODELS

IMAGES, BATCH, STEPS = 8, 4, 3
VARIANTS = [(binarizer, kind) for binarizer in ('IRNet', 'RBNN') for kind in ('Bank', 'InBatch')]


def build(binarizer, kind):
    """In float64, with norms that keep their statistics."""
    torch.manual_seed(0)
    model = MODELS.build(model_cfg(binarizer, kind, norm_eval=True))
    if kind == 'Bank':
        model.auxiliary_head.memories[0].allocate(IMAGES)
    return model.double()


def train(model, rank=0, ranks=1):
    """Losses of this rank in each step; an epoch, at whose start RBNN rotates, has two steps."""
    data, losses = images(IMAGES), []
    network = DistributedDataParallel(model, broadcast_buffers=False) if ranks > 1 else model
    optimizer = torch.optim.SGD(model.parameters(), lr=0.001, momentum=0.9)
    loader = SimpleNamespace(batch_sampler=SimpleNamespace(batch_size=BATCH // ranks), dataset=data)
    model.train()
    for step in range(STEPS):
        BinarizationProgressHook().before_train_iter(SimpleNamespace(
            model=network, iter=step, max_iters=STEPS, world_size=ranks, train_dataloader=loader), step)
        order = torch.randperm(IMAGES, generator=torch.Generator().manual_seed(step))
        batch = data.get_batch(order[:BATCH][rank::ranks].tolist())
        inputs = torch.stack([image['inputs'] for image in batch]).double() / 128 - 1
        found = network(inputs, [image['data_samples'] for image in batch], mode='loss')
        loss, _ = model.parse_losses(found)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def run_rank(rank, folder):
    torch.distributed.init_process_group(
        'gloo', init_method=(folder / 'store').as_uri(), rank=rank, world_size=2)
    atexit.register(leave_group)
    found = {}
    for variant in VARIANTS:
        model = build(*variant)
        found[variant] = dict(losses=train(model, rank, 2), state=model.state_dict())
    torch.save(found, folder / str(rank))


def main():
    folder = Path(sys.argv[1])
    child = os.fork()  # after the imports, which take longer than the training
    run_rank(int(child == 0), folder)
    if child:
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


if __name__ == '__main__':
    main()
