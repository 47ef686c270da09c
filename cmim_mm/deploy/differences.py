"""How far a packed model is from the trained one, on images: signs that flip, predictions that differ."""
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from mmengine.evaluator import Evaluator
from torch import Tensor, nn

from cmim_mm.binarize import BinaryConv2d

from .sign_conv import SignConv2d

_ONES = torch.tensor([bin(byte).count('1') for byte in range(256)])


@dataclass
class Differences:
    """What :func:`compare` counts.

    Attributes:
        images: Images seen; in ``touched`` of their batches a sign flips.
        signs: Inputs of binary layers seen; ``flips`` of them have another sign.
        labels: Pixels seen whose class is predicted; ``changed`` of them have another one.
        depth: Largest difference of a predicted depth, metres.
        trained, packed: Figures of the evaluators.
    """
    images: int = 0
    touched: int = 0
    signs: int = 0
    flips: int = 0
    labels: int = 0
    changed: int = 0
    depth: float = 0.0
    trained: dict[str, float] = field(default_factory=dict)
    packed: dict[str, float] = field(default_factory=dict)

    @property
    def flips_per_million(self) -> float:
        """Of the signs."""
        return 1e6 * self.flips / max(self.signs, 1)

    @property
    def changed_per_million(self) -> float:
        """Of the pixels' classes."""
        return 1e6 * self.changed / max(self.labels, 1)


@torch.no_grad()
def compare(trained: nn.Module, packed: nn.Module, batches: Iterable[dict], evaluator: dict,
            dataset_meta: dict) -> Differences:
    """Runs both models on the same batches.

    Args:
        trained: A segmentor, depth estimator or classifier in eval mode.
        packed: The same, packed (or as it is, in another memory format: what rounding does to itself).
        batches: Of a data loader.
        evaluator: The config's ``test_evaluator``.
        dataset_meta: Of the data set.
    """
    found = Differences()
    evaluators = [Evaluator(evaluator) for _ in range(2)]
    for one in evaluators:
        one.dataset_meta = dataset_meta
    for batch in batches:
        with _inputs(trained) as latent, _inputs(packed) as seen:
            samples = [model.test_step(batch) for model in (trained, packed)]
        before = found.flips
        for name, (layer, x) in seen.items():
            found.flips += _flips(layer, x, latent[name][1])
            found.signs += latent[name][1].numel()
        found.images += len(samples[0])
        found.touched += found.flips > before
        for one, other in zip(*samples):
            _compare_predictions(found, one, other)
        for one, results in zip(evaluators, samples):
            one.process(results, batch)
    found.trained, found.packed = (one.evaluate(found.images) for one in evaluators)
    return found


def _flips(layer: nn.Module, x: Tensor, latent: Tensor) -> int:
    if isinstance(layer, BinaryConv2d):
        return int((layer.binary_input(x) != layer.binary_input(latent)).sum())
    flipped = layer.pack(x) ^ layer.pack(latent)
    return int(_ONES[flipped.view(torch.uint8).flatten().int()].sum())


@contextmanager
def _inputs(model: nn.Module) -> Iterator[dict[str, tuple[nn.Module, Tensor]]]:
    """The last input of each binary layer, by its name."""
    found: dict[str, tuple[nn.Module, Tensor]] = {}

    def keep(name: str):
        def hook(layer: nn.Module, inputs: tuple) -> None:
            found[name] = layer, inputs[0]
        return hook

    handles = [layer.register_forward_pre_hook(keep(name)) for name, layer in model.named_modules()
               if isinstance(layer, (BinaryConv2d, SignConv2d))]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def _compare_predictions(found: Differences, one, other) -> None:
    for key in ('pred_sem_seg', 'pred_label'):
        if key in one:
            a, b = (getattr(sample.get(key), 'data', None) for sample in (one, other))
            found.labels += a.numel()
            found.changed += int((a != b).sum())
    if 'pred_depth_map' in one:
        difference = (one.pred_depth_map.data - other.pred_depth_map.data).abs().max()
        found.depth = max(found.depth, difference.item())
