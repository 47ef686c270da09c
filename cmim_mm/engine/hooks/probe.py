"""Figures that show why a binary network learns or does not, over training."""
from collections.abc import Sequence
from typing import Optional

import numpy as np
from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor
from torch.utils.data import DataLoader, Subset

from cmim_mm.binarize import BinaryConv2d
from cmim_mm.engine.bare_model import bare_model
from cmim_mm.evaluation.measure import binary_signs, measure
from cmim_mm.evaluation.probes import flip_ratio
from cmim_mm.evaluation.undisturbed import undisturbed
from cmim_mm.models.features import Tap
from cmim_mm.registry import HOOKS


@HOOKS.register_module()
class ProbeHook(Hook):
    """Measures binary layers on validation images before training, and before each validation.

    Written for every visualization backend (``vis_data/scalars.json``, TensorBoard), for a layer L:

    - ``probe/bound/L``: lower bound of I(a_B; a_F), nats; ``probe/bound_cmim/L``: by the current embeddings
      of a ``ContrastiveMINeck`` (with a teacher, of I(a_B; teacher)); ``probe/ceiling``: log N of both;
    - ``probe/saturated/L``: share of activations without gradient, %;
    - ``probe/knn/L``: accuracy of 5 nearest neighbours among the binary features, %, where the data has
      classes; ``probe/majority``: of the largest class alone;
    - ``probe/flips/L``, ``probe/flips/total``: share of binary weights that changed their sign since the
      last probe (since the start, where the run was resumed), %; of all binary convolutions.

    ``docs/probes.md`` says how each is computed and read. Training is not disturbed. The main process
    measures; the others wait for it at their next exchange. A model without binary layers is left alone.

    Args:
        interval: Measures every so many iterations instead of before each validation.
        num_images: Images at most, evenly spread over the validation set.
        layers: Stages or names of binary convolutions, as a backbone's ``taps``; by default its taps, or
            the last one of each stage.

    Raises:
        ValueError: ``num_images`` is below 2, the run has no validation images, or a layer does not exist.
    """
    priority = 'LOW'

    def __init__(self, interval: Optional[int] = None, num_images: int = 1000,
                 layers: Optional[Sequence[Tap]] = None) -> None:
        if num_images < 2:
            raise ValueError(f'ProbeHook: num_images={num_images}, expected 2 or more')
        self.interval = interval
        self.num_images = num_images
        self.layers = layers
        self.active = False
        self.signs: dict[str, Tensor] = {}

    @master_only
    def before_train(self, runner: Runner) -> None:
        if runner.val_loop is None:
            raise ValueError('ProbeHook: the run has no validation images; set val_dataloader, val_cfg and '
                             'val_evaluator, or leave the hook out')
        model = bare_model(runner)
        if not any(isinstance(module, BinaryConv2d) for module in model.backbone.modules()):
            runner.logger.warning('ProbeHook: the backbone has no binary convolution; nothing to measure')
            return
        self.active = True
        self.signs = binary_signs(model)
        if runner.iter == 0:
            self._probe(runner, 0)

    def before_val(self, runner: Runner) -> None:
        if self.active and self.interval is None:
            self._probe(runner, runner.iter)

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Optional[dict] = None,
                         outputs: Optional[dict] = None) -> None:
        if self.active and self.interval and self.every_n_train_iters(runner, self.interval):
            self._probe(runner, runner.iter + 1)

    def after_train(self, runner: Runner) -> None:
        self.active = False  # what is validated later is no training

    def _probe(self, runner: Runner, step: int) -> None:
        model = bare_model(runner)
        with undisturbed(model):
            figures = measure(model, self._images(runner.val_dataloader), self.layers)
            signs = binary_signs(model)
        if step and signs:
            figures.update(self._flips(signs))
        self.signs = signs
        runner.visualizer.add_scalars({f'probe/{name}': value for name, value in figures.items()}, step=step)
        runner.logger.info(f'Probe at iteration {step}: ' + ', '.join(
            f'{name} {value:.4g}' for name, value in figures.items()
            if name == 'flips/total' or not name.startswith('flips/')))

    def _flips(self, signs: dict[str, Tensor]) -> dict[str, float]:
        flips = {name: 100 * flip_ratio(self.signs[name], now) for name, now in signs.items()}
        weights = {name: now.numel() for name, now in signs.items()}
        total = sum(flips[name] * weights[name] for name in flips) / sum(weights.values())
        # Layers of the backbone by the names that taps have.
        return {'flips/total': total,
                **{f'flips/{name.removeprefix("backbone.")}': flip for name, flip in flips.items()}}

    def _images(self, loader: DataLoader) -> DataLoader:
        size = len(loader.dataset)
        indices = np.linspace(0, size - 1, min(self.num_images, size)).round().astype(int).tolist()
        return DataLoader(Subset(loader.dataset, indices), loader.batch_size or 1,
                          collate_fn=loader.collate_fn)
