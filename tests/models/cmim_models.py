"""A small classifier with CMIM; a helper of the tests here."""
import torch

from cmim_mm.registry import MODELS
from cmim_mm.structures import ClsDataSample

BATCH = dict(type='cmim_mm.MemoryBank', kind='batch', dim=8)
FULL_PRECISION = dict(type='cmim_mm.BinaryResNet', depth=20, binarizer=None)


def samples(labels=(0, 1, 2, 0)):
    return [ClsDataSample(metainfo=dict(sample_idx=i), gt_label=torch.tensor([label]))
            for i, label in enumerate(labels)]


def images(n=4, size=16):
    return torch.randn(n, 3, size, size, generator=torch.Generator().manual_seed(1))


def build(neck=None, head=None, memory=None, cmim=True, **backbone):
    """ResNet-20 with CMIM at its last binary convolution; a bank of 12 rows."""
    torch.manual_seed(0)
    backbone = {**dict(type='cmim_mm.BinaryResNet', depth=20, binarizer='IRNet'), **backbone}
    parts = {}
    if cmim:
        backbone.setdefault('taps', (-1, ))
        memory = {**dict(type='cmim_mm.MemoryBank', num_rows=12, dim=8, num_negatives=6), **(memory or {})}
        parts = dict(
            neck={**dict(type='cmim_mm.ContrastiveMINeck', in_channels=[64], dim=8), **(neck or {})},
            auxiliary_head={**dict(type='cmim_mm.CMIMHead', memory=memory), **(head or {})})
    model = MODELS.build(dict(
        type='cmim_mm.ImageClassifier', backbone=backbone,
        decode_head=dict(type='cmim_mm.ClsHead', in_channels=64, num_classes=3), **parts))
    model.init_weights()
    return model


def step(model, inputs=None, data_samples=None):
    """Losses of one forward pass, after the backward pass of their sum."""
    losses = model(images() if inputs is None else inputs, data_samples or samples(), mode='loss')
    total, log = model.parse_losses(losses)
    total.backward()
    return {name: float(value.detach()) for name, value in log.items()}


def gradients(module):
    return {name: p.grad.clone() for name, p in module.named_parameters() if p.grad is not None}


def write_teacher(path):
    """Weights of FULL_PRECISION as a classifier's checkpoint."""
    torch.manual_seed(7)
    state = MODELS.build(FULL_PRECISION).state_dict()
    torch.save(dict(state_dict={f'backbone.{k}': v for k, v in state.items()}), path)
    return dict(type='cmim_mm.FrozenTeacher', model=FULL_PRECISION, checkpoint=str(path), prefix='backbone.')
