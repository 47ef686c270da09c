"""Times the training step of a binary classifier with CMIM against the same step without it, and against CMIM
computed as its public release does.

The release's cost is written down here anew: the encoder runs forward twice; each image draws its own
negatives with numpy's ``choice`` without replacement, which permutes the whole data set (its data loader's
workers do that, so it is also given apart); each side gathers a (B, N + 1, d) tensor of them; with
--teacher, the latent side is that of a full-precision network in training mode, with gradients.

The steps take turns, and ratios are medians over turns, so other load on the machine hits all alike. Memory
is the peak during a step, parameters, banks and optimizer included; on a CPU it counts tensors, as in
train_step.py.
"""
import time
from argparse import ArgumentParser
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple, Optional

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import cmim_mm  # noqa: F401  (before any import of mmsegmentation)
from cmim_mm.binarize import set_progress
from cmim_mm.engine.cli import ToolError, format_table, parse_args, run
from cmim_mm.models import Bank
from cmim_mm.registry import MODELS
from cmim_mm.structures import ClsDataSample

try:
    from benchmarks.train_step import WARM_UP, TrainStep, machine
except ImportError:  # run as a script: its own folder is on the path
    from train_step import WARM_UP, TrainStep, machine

CLASSES, DIM, TEMPERATURE, MOMENTUM = 100, 128, 0.1, 0.5
NETWORKS = dict(resnet18=(18, 512), resnet20=(20, 64))  # depth, channels of the last stage
HEADER = ('case', 'B', 'N', 'M', 'plain, ms', 'CMIM, ms', 'CMIM / plain', 'release / CMIM', '(no choice)',
          'plain, MiB', 'CMIM, MiB', 'release, MiB')


class Case(NamedTuple):
    """Images of a step, negatives of each, images of the data set, and what holds the negatives."""
    batch: int
    negatives: int
    images: int
    memory: str

    def scaled(self, scale: float) -> 'Case':
        return Case(*(max(2, round(scale * size)) for size in self[:3]), self.memory)


CASES = dict(
    cifar=Case(100, 4096, 50_000, 'Bank'),
    imagenet=Case(256, 16_384, 1_281_167, 'Bank'),
    queue=Case(256, 65_536, 1_281_167, 'Queue'))


def classifier(network: str, binarizer: Optional[str], **parts) -> dict:
    """Config of a CIFAR ResNet that records its last binary convolution where ``parts`` say so."""
    depth, channels = NETWORKS[network]
    taps = (-1, ) if parts.pop('record', False) else ()
    return dict(
        type='cmim_mm.ImageClassifier',
        backbone=dict(type='cmim_mm.BinaryResNet', depth=depth, stem='cifar', binarizer=binarizer, taps=taps),
        decode_head=dict(type='cmim_mm.ClsHead', in_channels=channels, num_classes=CLASSES), **parts)


def contrasted(network: str, binarizer: str, case: Case) -> dict:
    """The same with CMIM."""
    model = classifier(network, binarizer)
    memory = dict(type=case.memory, num_negatives=case.negatives)
    if case.memory == 'Queue':
        memory['num_rows'] = case.negatives
    head = dict(loss=dict(temperature=TEMPERATURE), memory=memory)
    return dict(model, type='cmim_mm.CMIM', on=model['type'], cmim=dict(neck=dict(dim=DIM), head=head))


class ModelStep(TrainStep):
    """A model of this package with an optimizer; a call trains it on one fixed batch."""

    def __init__(self, model: dict, images: Tensor, case: Case) -> None:
        torch.manual_seed(0)
        self.images = images
        self.labels = torch.arange(len(images)) % CLASSES
        self.rows = torch.arange(len(images)) % case.images
        self.samples = [ClsDataSample(gt_label=label[None], metainfo=dict(sample_idx=int(row)))
                        for label, row in zip(self.labels, self.rows)]
        self.network = self._build(model, case).to(images.device).train()
        self.optimizer = torch.optim.SGD(self.network.parameters(), lr=1e-3, momentum=0.9)
        self.loss = self._loss

    def _build(self, model: dict, case: Case) -> nn.Module:
        network = MODELS.build(model)
        set_progress(network, 0.5)
        for module in network.modules():
            if isinstance(module, Bank):
                module.allocate(case.images)
        return network

    def _loss(self) -> Tensor:
        losses = self.network.loss(self.images, self.samples)
        return sum(value for name, value in losses.items() if 'loss' in name)


class ReleaseStep(ModelStep):
    """A classifier with CMIM at the cost of its public release.

    Attributes:
        choice: Seconds that the last step spent on choosing negatives.
    """

    def __init__(self, model: dict, images: Tensor, case: Case, teacher: Optional[dict] = None) -> None:
        self.teacher = teacher
        super().__init__(model, images, case)

    def _build(self, model: dict, case: Case) -> nn.Module:
        self.case, self.random, self.normalizers = case, np.random.RandomState(0), {}
        network = super()._build(model, case)
        network.embeddings = nn.ModuleList(
            nn.Linear(network.decode_head.in_channels, DIM) for _ in range(2))
        network.release_teacher = self.teacher and MODELS.build(self.teacher)
        for side in range(2):
            network.register_buffer(f'bank{side}', F.normalize(torch.randn(case.images, DIM), dim=1))
        return network

    def _loss(self) -> Tensor:
        started = time.perf_counter()
        chosen = np.stack([self.random.choice(self.case.images, self.case.negatives, replace=False)
                           for _ in self.samples])
        self.choice = time.perf_counter() - started
        device = self.images.device
        rows = self.rows.to(device)
        chosen = torch.cat([rows[:, None], torch.from_numpy(chosen).to(device)], 1)
        loss = super()._loss()
        (latent, binary), = self.network.extract_feat(self.images).pairs
        if self.teacher:
            latent = self.network.release_teacher.extract_feat(self.images)[-1]
        z = [F.normalize(layer(x.mean((2, 3))), dim=1)
             for layer, x in zip(self.network.embeddings, (latent, binary))]
        banks = self.network.bank0, self.network.bank1
        for side in range(2):
            loss = loss + self._nce(side, z[side], banks[1 - side], chosen)
        with torch.no_grad():
            for bank, new in zip(banks, z):
                bank[rows] = F.normalize(MOMENTUM * bank[rows] + (1 - MOMENTUM) * new, dim=1)
        return loss

    def _nce(self, side: int, z: Tensor, bank: Tensor, chosen: Tensor) -> Tensor:
        gathered = bank.index_select(0, chosen.flatten()).view(*chosen.shape, DIM)
        scores = (torch.bmm(gathered, z[:, :, None])[..., 0] / TEMPERATURE).exp()
        if side not in self.normalizers:
            self.normalizers[side] = scores.mean().item() * self.case.images
        p = scores / self.normalizers[side]
        noise = self.case.negatives / self.case.images
        positive = (p[:, 0] / (p[:, 0] + noise + 1e-7)).log()
        negative = (noise / (p[:, 1:] + noise + 1e-7)).log()
        return -(positive.sum() + negative.sum()) / len(z)


def compare(name: str, case: Case, args, device: torch.device) -> tuple[list, str]:
    """A row of the table, and why the release's step is not in it, if it is not."""
    images = torch.randn(case.batch, 3, args.image_size, args.image_size, device=device)
    steps = [ModelStep(classifier(args.network, args.binarizer), images, case),
             ModelStep(contrasted(args.network, args.binarizer, case), images, case)]
    gathered = 2 * 4 * case.batch * (case.negatives + 1) * DIM / 2**30
    note = ''
    if gathered > args.release_memory:
        note = (f'{name}: the release gathers {gathered:.1f} GiB of negatives a step, over --release-memory '
                f'{args.release_memory:g}.')
    else:
        model = classifier(args.network, args.binarizer, record=True)
        teacher = classifier(args.network, None) if args.teacher else None
        steps.append(ReleaseStep(model, images, case, teacher))
    for step in steps * WARM_UP:
        step()
    turns = [_turn(steps) for _ in range(args.repeats)]
    plain, cmim = (1e3 * median(turn[i] for turn in turns) for i in range(2))
    ratios = [f'{median(turn[i] / turn[1] for turn in turns):.1f}' for i in range(2, len(turns[0]))]
    peaks = [f'{step.peak_bytes() / 2**20:.0f}' for step in steps]
    return [name, case.batch, case.negatives, case.images, f'{plain:.0f}', f'{cmim:.0f}',
            f'{median(turn[1] / turn[0] for turn in turns):.3f}', *(ratios or '--'), *peaks,
            *['-'] * (3 - len(peaks))], note


def _turn(steps: Sequence[ModelStep]) -> list[float]:
    times = [step.seconds() for step in steps]
    return times + [times[2] - release.choice for release in steps[2:]]


def make_parser() -> ArgumentParser:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument('--cases', nargs='+', choices=CASES, default=list(CASES), help='default: all')
    parser.add_argument('--scale', type=float, default=1.0, help='factor of B, N and M, for small machines')
    parser.add_argument('--network', choices=NETWORKS, default='resnet18')
    parser.add_argument('--binarizer', default='IRNet')
    parser.add_argument('--image-size', type=int, default=32, metavar='PIXELS')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--repeats', type=int, default=7, metavar='N', help='turns that the medians are over')
    parser.add_argument('--threads', type=int, metavar='N', help="torch's threads on the CPU")
    parser.add_argument('--teacher', action='store_true', help='give the release its full-precision teacher')
    parser.add_argument('--release-memory', type=float, default=4.0, metavar='GIB',
                        help="the release's step is left out where its gathered negatives exceed this")
    return parser


def main(argv: Optional[Sequence[str]] = None) -> None:
    args = parse_args(make_parser(), argv)
    if args.scale <= 0 or args.repeats < 1 or args.image_size < 8:
        raise ToolError(f'--scale {args.scale:g}, --repeats {args.repeats}, --image-size {args.image_size}: '
                        'expected more than 0, at least 1, and at least 8')
    if args.threads:
        torch.set_num_threads(args.threads)
    device = torch.device(args.device)
    rows, notes = zip(*(compare(name, CASES[name].scaled(args.scale), args, device) for name in args.cases))
    print(format_table(HEADER, rows))
    print(f'\n{args.network}, {args.binarizer}, images of {args.image_size}x{args.image_size}, median of '
          f'{args.repeats}{", the release with its teacher" * args.teacher}; {machine(device)}')
    for note in filter(None, notes):
        print(note)


if __name__ == '__main__':
    run(main)
