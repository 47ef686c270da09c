"""The figures of ``probes.py`` for the layers of a model, on images."""
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cmim_mm.binarize import BinaryConv2d
from cmim_mm.models.cells import cell_labels
from cmim_mm.models.features import Features, Pair, Tap, find_taps, record_pairs
from cmim_mm.models.necks import ContrastiveMINeck
from cmim_mm.models.necks.embedding import standardize_columns

from .probes import info_nce_bound, knn_accuracy, saturation, slopes

#: Cells of an image whose pixels have classes.
GRID = (4, 4)


@torch.no_grad()
def binary_signs(model: nn.Module) -> dict[str, Tensor]:
    """The signs of all binary weights, bool (O, I/g, kh, kw), by the names of their convolutions.

    A convolution whose weights are real as yet (the first step of ReActNet's training) has none.
    """
    return {name: module.weight_form().sign > 0 for name, module in model.named_modules()
            if isinstance(module, BinaryConv2d) and not getattr(module.binarizer, 'real_weights', False)}


def measure(model: nn.Module, batches: Iterable[dict],
            layers: Optional[Sequence[Tap]] = None) -> dict[str, float]:
    """Bound, saturation and k-NN accuracy of layers, named as in ``ProbeHook``.

    The model should be in eval mode, without gradients.

    Args:
        model: With ``backbone``, ``data_preprocessor`` and perhaps a ``ContrastiveMINeck``.
        batches: Of a data loader.
        layers: As a backbone's ``taps``; None takes its own, or the last of each stage.

    Raises:
        ValueError: As in :func:`~cmim_mm.models.features.find_taps`.
    """
    backbone = model.backbone
    neck = next((m for m in model.modules() if isinstance(m, ContrastiveMINeck)), None)
    taps = getattr(backbone, 'tap_names', ())
    names = list(find_taps(backbone, layers or taps or range(len(backbone.stages))))
    kept: dict[str, list[Tensor]] = defaultdict(list)
    pooled: dict[tuple[int, str], list[tuple[Tensor, Tensor]]] = defaultdict(list)
    for batch in batches:
        data = model.data_preprocessor(batch, False)
        with record_pairs(backbone, tuple(dict.fromkeys([*names, *taps]))) as record:
            maps = backbone(data['inputs'])
        pairs = dict(zip(record.names, record.pairs))
        samples = data['data_samples']
        labels = cell_labels(samples, None if 'gt_label' in samples[0] else GRID)
        if labels is not None:
            kept['labels'].append(labels)
        for name in names:
            _keep(kept, name, backbone.get_submodule(name), pairs[name], labels)
        if neck is not None:
            feats = Features(maps, pairs=[pairs[tap] for tap in taps], tap_names=taps, encoder=backbone,
                             inputs=data['inputs'])
            for k, sides in enumerate(neck.source(feats)):
                pooled[k, sides.name].append(neck.pool(k, sides)[:2])
    joined = {key: torch.cat(parts) for key, parts in kept.items()}
    figures = _figures(joined, names)
    if neck is not None:
        figures.update(_embedded_bounds(pooled, neck))
    return figures


def _keep(kept: dict[str, list[Tensor]], name: str, conv: BinaryConv2d, pair: Pair,
          labels: Optional[Tensor]) -> None:
    """What the figures of a layer need of a batch."""
    latent, binary = (side.float() for side in pair)
    kept[f'{name}/latent'].append(latent.mean((2, 3)))
    kept[f'{name}/binary'].append(binary.mean((2, 3)))
    conv.binarizer.train()  # ReCU's estimator standardizes in training only
    kept[f'{name}/slopes'].append(slopes(conv.binary_input, latent))
    conv.binarizer.eval()
    if labels is not None:
        cells = F.adaptive_avg_pool2d(binary, labels.shape[1:])
        kept[f'{name}/cells'].append(cells.flatten(2).transpose(1, 2))


def _figures(kept: dict[str, Tensor], names: Sequence[str]) -> dict[str, float]:
    figures = {'ceiling': math.log(len(kept[f'{names[0]}/latent']))}
    for name in names:
        sides = (standardize_columns(kept[f'{name}/{side}'].float()) for side in ('binary', 'latent'))
        figures[f'bound/{name}'] = info_nce_bound(*sides)
        figures[f'saturated/{name}'] = 100 * saturation(kept[f'{name}/slopes'])
    if 'labels' in kept:
        labels = kept['labels'].flatten(1)
        known = labels >= 0
        image = torch.arange(len(labels))[:, None].expand_as(labels)[known]
        figures['majority'] = 100 * labels[known].bincount().max().item() / known.sum().item()
        for name in names:
            cells = kept[f'{name}/cells']
            features = standardize_columns(cells[known.to(cells.device)])
            figures[f'knn/{name}'] = 100 * knn_accuracy(
                features, labels[known].to(cells.device), image.to(cells.device))
    return figures


def _embedded_bounds(pooled: dict[tuple[int, str], list[tuple[Tensor, Tensor]]],
                     neck: ContrastiveMINeck) -> dict[str, float]:
    """The bound by the neck's own embeddings, of all images at once."""
    figures = {}
    for (k, name), batches in pooled.items():
        latent, binary = (torch.cat(side) for side in zip(*batches))
        found = neck.embed(k, latent, binary, None, name)
        # N of the N x P positions, so that the ceiling stays.
        binary, latent = found.binary.flatten(0, 1), found.latent.flatten(0, 1)
        rows = torch.linspace(0, len(binary) - 1, len(found.binary), device=binary.device).round().long()
        figures[f'bound_cmim/{name}'] = info_nce_bound(binary[rows], latent[rows])
    return figures
