"""A batch in parts, where a whole one does not fit into the memory."""
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


def split_batch(batch: Any, parts: int) -> list:
    """A collated batch (dicts of lists or tensors along the images) in equal parts."""
    if parts == 1:
        return [batch]
    if isinstance(batch, Mapping):
        pieces = {key: split_batch(value, parts) for key, value in batch.items()}
        return [{key: values[part] for key, values in pieces.items()} for part in range(parts)]
    size = len(batch) // parts
    return [batch[part * size:(part + 1) * size] for part in range(parts)]


def mean_outputs(outputs: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of each logged value over the parts of a batch."""
    if len(outputs) == 1:
        return outputs[0]
    return {key: torch.stack([torch.as_tensor(output[key]).float() for output in outputs]).mean(0)
            for key in outputs[0]}
