"""The quick dense networks on a small batch, in any memory format and type; a helper and a script of tests.

    python formats.py FOLDER     trains each on two gloo ranks, which write FOLDER/RANK.pth
"""
import atexit
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from torch import nn

import cmim_mm  # noqa: F401  (before any import of mmseg)
from cmim_mm.engine import MemoryFormatHook
from cmim_mm.engine.distributed import leave_group

REPOSITORY = Path(__file__).resolve().parents[2]
FORMS = [('channels_last', None), ('channels_last', torch.bfloat16), ('contiguous', torch.bfloat16)]


def build(task: str, memory_format: str = 'channels_last', **backbone) -> nn.Module:
    from mmseg.registry import MODELS
    cfg = Config.fromfile(REPOSITORY / f'configs/nyud_{task}_bnn_quick.py')
    init_default_scope('mmseg')
    cfg.model.backbone.update(backbone)
    torch.manual_seed(0)
    model = MODELS.build(cfg.model).train()
    MemoryFormatHook(memory_format).before_run(SimpleNamespace(model=model))
    return model


def batch(seed: int = 1) -> dict:
    from mmseg.structures import SegDataSample
    generator = torch.Generator().manual_seed(seed)
    samples = []
    for _ in range(2):
        sample = SegDataSample(metainfo=dict(img_shape=(64, 96), ori_shape=(64, 96)))
        sample.gt_sem_seg = PixelData(data=torch.randint(40, (1, 64, 96), generator=generator))
        sample.gt_depth_map = PixelData(data=1 + torch.rand(1, 64, 96, generator=generator))
        samples.append(sample)
    images = [torch.randint(255, (3, 64, 96), generator=generator).byte() for _ in range(2)]
    return dict(inputs=images, data_samples=samples)


def forward_backward(model: nn.Module, dtype=None, seed: int = 1, network=None) -> dict:
    """The losses; gradients are left in the parameters. ``network`` is what wraps the model, if anything."""
    torch.manual_seed(seed)  # dropout
    data = model.data_preprocessor(batch(seed), training=True)
    with torch.autocast('cpu', dtype, enabled=dtype is not None):
        losses = (network or model)(**data, mode='loss')
    sum(value for name, value in losses.items() if 'loss' in name).backward()
    return {name: value.detach() for name, value in losses.items()}


def train_ranks(folder: Path) -> None:
    rank = int(os.environ['RANK'])
    torch.distributed.init_process_group('gloo')
    atexit.register(leave_group)
    weights = {}
    for memory_format, dtype in FORMS:
        model = build('seg', memory_format)
        network = nn.parallel.DistributedDataParallel(model, broadcast_buffers=False)
        optimizer = torch.optim.Adam(model.parameters(), 1e-3, fused=True)
        for step in range(2):
            optimizer.zero_grad()
            forward_backward(model, dtype, 10 * step + rank, network)
            optimizer.step()
        weights[f'{memory_format} {dtype}'] = dict(model.named_parameters())
    torch.save(weights, folder / f'{rank}.pth')


if __name__ == '__main__':
    train_ranks(Path(sys.argv[1]))
