"""A small classifier with CMIM; a helper of the tests here."""
import torch

from cmim_mm.binarize import set_progress
from cmim_mm.models import Bank, add_cmim
from cmim_mm.registry import MODELS
from cmim_mm.structures import ClsDataSample

BATCH = dict(type='InBatch')
HEAD = dict(type='cmim_mm.ClsHead', in_channels=64, num_classes=3)
FULL_PRECISION = dict(type='cmim_mm.BinaryResNet', depth=20, binarizer=None)
TAP = 'layer3.5.conv1'


def samples(labels=(0, 1, 2, 0)):
    return [ClsDataSample(metainfo=dict(sample_idx=i), gt_label=torch.tensor([label]))
            for i, label in enumerate(labels)]


def images(n=4, size=16):
    return torch.randn(n, 3, size, size, generator=torch.Generator().manual_seed(1))


def build(neck=None, head=None, memory=None, cmim=True, taps=(-1, ), decode_head=HEAD, teacher=None,
          **backbone):
    """ResNet-20 with CMIM at its last binary convolution; a bank of 12 rows."""
    torch.manual_seed(0)
    model = MODELS.build(dict(
        type='cmim_mm.ImageClassifier', decode_head=decode_head, teacher=teacher,
        backbone={**dict(type='cmim_mm.BinaryResNet', depth=20, binarizer='IRNet'), **backbone}))
    if cmim:
        memory = memory or dict(type='Bank', num_negatives=6)
        add_cmim(model, taps, dict(dim=8, **(neck or {})), dict(memory=memory, **(head or {})))
        for bank in model.auxiliary_head.memories:
            if isinstance(bank, Bank):
                bank.allocate(12)
    model.init_weights()
    set_progress(model, 0.25)
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
    """Config of a teacher whose weights are random ones of FULL_PRECISION with HEAD."""
    torch.manual_seed(7)
    twin = dict(type='cmim_mm.ImageClassifier', backbone=FULL_PRECISION, decode_head=HEAD)
    torch.save(dict(state_dict=MODELS.build(twin).state_dict()), path)
    return dict(type='cmim_mm.FrozenTeacher', checkpoint=str(path))
