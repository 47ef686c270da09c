"""How the weight of a loss follows the training."""
import inspect
import math
from functools import partial
from typing import Callable, Union

import torch
from torch import Tensor


def constant(p: Tensor, begin: float = 0.0, end: float = 1.0) -> Tensor:
    """1 from ``begin`` to ``end``, 0 before and after."""
    return ((p >= begin) & ((p < end) | (end >= 1))).to(p.dtype)


def linear(p: Tensor, begin: float = 0.0, end: float = 1.0, start: float = 1.0, stop: float = 0.0) -> Tensor:
    """``start`` before ``begin``, ``stop`` after ``end``, a straight line between."""
    return start + (stop - start) * ((p - begin) / (end - begin)).clamp(0, 1)


def cosine(p: Tensor, begin: float = 0.0, end: float = 1.0, start: float = 1.0, stop: float = 0.0) -> Tensor:
    """As :func:`linear`, along half a cosine."""
    return linear((1 - torch.cos(math.pi * linear(p, begin, end, 0, 1))) / 2, start=start, stop=stop)


SCHEDULES = dict(constant=constant, linear=linear, cosine=cosine)


def make_schedule(cfg: Union[str, dict]) -> Callable[[Tensor], Tensor]:
    """The factor s(p) of a loss over the elapsed fraction p of training, 0-dimensional each.

    Args:
        cfg: 'constant', 'linear' or 'cosine', or ``dict(type=..., begin=0.0, end=1.0)`` with the fractions
            of training where it acts; the last two go from ``start=1.0`` to ``stop=0.0``.

    Raises:
        ValueError: An unknown type or argument, or no 0 <= begin < end <= 1.
    """
    cfg = dict(type=cfg) if isinstance(cfg, str) else dict(cfg)
    name = cfg.pop('type', 'constant')
    if name not in SCHEDULES:
        raise ValueError(f'schedule={name!r} is unknown; valid are {", ".join(SCHEDULES)}')
    valid = [*inspect.signature(SCHEDULES[name]).parameters][1:]
    unknown = cfg.keys() - set(valid)
    if unknown:
        raise ValueError(f"schedule '{name}' has no {', '.join(sorted(unknown))}; it takes "
                         f"{', '.join(valid)}")
    begin, end = cfg.get('begin', 0.0), cfg.get('end', 1.0)
    if not 0 <= begin < end <= 1:
        raise ValueError(f'schedule: begin={begin}, end={end}; expected fractions of training, '
                         '0 <= begin < end <= 1')
    return partial(SCHEDULES[name], **cfg)
