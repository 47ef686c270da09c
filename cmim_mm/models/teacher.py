"""A full-precision network that teaches and does not learn."""
import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Optional

import torch
from mmengine.runner.checkpoint import CheckpointLoader
from torch import Tensor, nn
from torch.nn import functional as F

from cmim_mm.checkpoint import CheckpointError
from cmim_mm.registry import MODELS

from .pretrained import check_state

#: Pixels that a teacher on a CPU sees at once, so that its maps stay in the cache: EfficientNet-Lite0 is then
#: 1.5 (12x240x320) to 3 times (8x480x640, 64x192x192) as fast as on whole batches.
PIXELS = 307_200


class TeacherOutput:
    """What a teacher says of a batch; no gradient.

    Args:
        pieces: Feature maps of each piece of the batch.
        head: What makes logits of them; None for a backbone alone.
    """

    def __init__(self, pieces: Sequence[Sequence[Tensor]], head: Optional[nn.Module]) -> None:
        self._pieces = pieces
        self._head = head

    @cached_property
    def features(self) -> tuple[Tensor, ...]:
        """Feature maps of its backbone, or of its neck where there is one."""
        return tuple(map(_joined, zip(*self._pieces)))

    @cached_property
    def logits(self) -> Tensor:
        """(N, K), or (N, K, h, w) of a dense model; computed where they are asked for.

        Raises:
            ValueError: The teacher is a backbone alone.
        """
        if self._head is None:
            raise ValueError('FrozenTeacher: a backbone alone gives no logits; its model= must be the config '
                             "of a whole model, such as a 'cmim_mm.ImageClassifier'")
        with torch.no_grad():
            return _joined([self._head(maps) for maps in self._pieces])


def _joined(pieces: Sequence[Tensor]) -> Tensor:
    return pieces[0] if len(pieces) == 1 else torch.cat(pieces)


def full_precision_twin(model: dict) -> dict:
    """Config of a model's network with ordinary convolutions: what a binary model takes as its teacher.

    Its backbone has the layout of published full-precision networks, whatever blocks the binary one has.

    Args:
        model: Config of an ``ImageClassifier``, an ``EncoderDecoder`` or a ``DepthEstimator``.
    """
    binary = ('block', 'downsample', 'taps', 'init_cfg', 'frozen_stages', 'norm_eval')
    backbone = {key: value for key, value in model['backbone'].items() if key not in binary}
    head = {key: value for key, value in (model['decode_head'] or {}).items()
            if key not in ('distill', 'labels')}
    twin = dict(type=model['type'], backbone=dict(backbone, binarizer=None), decode_head=head or None)
    return {**twin, **{key: model[key] for key in ('neck', 'test_cfg') if model.get(key)}}


def teacher_config(teacher: dict, model: dict) -> dict:
    """A ``model.teacher`` with what it may leave out: its type, and its ``model``, the twin of its owner's.

    Args:
        teacher: As in a config.
        model: Its owner's config.
    """
    twin = {} if 'model' in teacher else {'model': full_precision_twin(model)}
    return {'type': 'cmim_mm.FrozenTeacher', **twin, **teacher}


@MODELS.register_module()
class FrozenTeacher(nn.Module):
    """Holds a trained model in eval mode, out of sight of the optimizer and of checkpoints.

    Its owner registers it as a submodule as usual. It then moves with its owner (``to``, ``cuda``,
    ``half``), but the model adds nothing to the owner's ``parameters()``, ``state_dict()`` and
    ``modules()``. The weights are read by ``init_weights``, which training calls; what is only tested
    or deployed needs no teacher's checkpoint.

    Args:
        model: Config of a whole model (classifier or segmentor) or of a backbone. In ``model.teacher`` it may
            be left out: the owner's full-precision twin.
        checkpoint: Path or address of its weights. A published ResNet is understood too, whose classifier
            is ``fc``. None for a network that brings its own, such as ``cmim_mm.EfficientNetLite``.
        prefix: Of the model's keys in the checkpoint: 'backbone.' for a backbone out of a classifier.
        leave_out: Names (between dots, e.g. 'total_ops') of keys that the checkpoint may have beyond.
        mean, std: Of the images that the network wants, RGB on the scale 0 to 255, where they are not its
            owner's: [127] and [128] for ``cmim_mm.EfficientNetLite``.
        input_scale: Factor by which it sees the images larger than it gets them (bilinear).

    Raises:
        ValueError: ``mean`` without ``std``, or no checkpoint for a network that has no weights of its own.
        CheckpointError: In ``init_weights``: there is no such checkpoint, or it does not fit.
    """

    def __init__(self, model: dict, checkpoint: Optional[str] = None, prefix: Optional[str] = None,
                 leave_out: Sequence[str] = (), mean: Optional[Sequence[float]] = None,
                 std: Optional[Sequence[float]] = None, input_scale: float = 1.0) -> None:
        super().__init__()
        if (mean is None) != (std is None):
            raise ValueError(f'FrozenTeacher: mean={mean}, std={std}; give both, or neither for the '
                             "owner's")
        self.checkpoint = checkpoint
        self.prefix = prefix
        self.leave_out = leave_out
        self.input_scale = input_scale
        self.loaded = False
        self._norm = None if mean is None else (mean, std)
        self._affine: Optional[tuple[Tensor, Tensor]] = None
        # In a tuple, where nn.Module does not look for submodules.
        self._held = (MODELS.build(model).requires_grad_(False), )
        self.model.eval()
        if checkpoint is None and not getattr(self.model, 'pretrained', False):
            raise ValueError(f'FrozenTeacher: {type(self.model).__name__} brings no weights of its own; set '
                             'model.teacher.checkpoint=FILE')

    @property
    def model(self) -> nn.Module:
        """The model, always in eval mode."""
        return self._held[0]

    def take_from(self, preprocessor: nn.Module) -> None:
        """Is told who normalizes the images, by ``mean`` and ``std``.

        Raises:
            ValueError: It has a normalization of its own, and the preprocessor has none.
        """
        if self._norm is not None:
            if getattr(preprocessor, 'std', None) is None:
                raise ValueError("FrozenTeacher: mean and std are set, but the model's data_preprocessor "
                                 'does not normalize; give it a mean and a std')
            mean, std = (torch.tensor(value).view(-1, 1, 1) for value in self._norm)
            self._affine = preprocessor.std.cpu() / std, (preprocessor.mean.cpu() - mean) / std

    def extract(self, inputs: Tensor) -> Sequence[Tensor]:
        """Images -> feature maps."""
        whole = hasattr(self.model, 'decode_head')
        return self.model.extract_feat(inputs) if whole else self.model(inputs)

    def init_weights(self) -> None:
        """Loads the checkpoint, whole or not at all; only once."""
        if self.loaded:
            return
        if self.checkpoint is None:
            self.model.init_weights()
            self.loaded = True
            return
        if '://' not in self.checkpoint and not os.path.isfile(self.checkpoint):
            name = f'{Path(self.checkpoint).parent.name or "CONFIG"}.py'
            made_by = next(Path('configs').rglob(name), Path('configs/pretrain', name))
            raise CheckpointError(
                f'{self.checkpoint}: there is no such checkpoint of the teacher. Train it first, e.g. by '
                f'python tools/train.py {made_by} --data-root DIR, or name another one '
                "in the teacher's checkpoint=")
        loaded = CheckpointLoader.load_checkpoint(self.checkpoint, map_location='cpu', logger='silent')
        state = loaded.get('state_dict', loaded)
        if self.prefix is None and 'fc.weight' in state and hasattr(self.model, 'decode_head'):
            state = {('decode_head.' if key.startswith('fc.') else 'backbone.') + key: value
                     for key, value in state.items()}
        state = check_state(self.model, state, self.checkpoint, self.prefix, self.leave_out)
        self.model.load_state_dict(state, strict=False)  # checked above; old files lack num_batches_tracked
        self.loaded = True

    @torch.no_grad()
    def forward(self, inputs: Tensor) -> TeacherOutput:
        """Images (N, 3, H, W), as the owner's data preprocessor normalized them.

        Raises:
            RuntimeError: ``init_weights`` was not called.
        """
        if not self.loaded:
            raise RuntimeError('FrozenTeacher: it has no weights yet; call init_weights() of the model that '
                               'owns it, as Runner.train does')
        pixels = inputs.shape[2] * inputs.shape[3] * self.input_scale**2
        images = max(int(PIXELS / pixels), 1) if inputs.device.type == 'cpu' else len(inputs)
        pieces = [self.extract(self._as_wanted(piece)) for piece in inputs.split(images)]
        return TeacherOutput(pieces, getattr(self.model, 'decode_head', None))

    def _as_wanted(self, inputs: Tensor) -> Tensor:
        """Images in the model's own normalization and at its own scale."""
        if self._affine is not None:
            factor, shift = (value.to(inputs) for value in self._affine)
            inputs = torch.addcmul(shift, inputs, factor)
        if self.input_scale != 1:
            inputs = F.interpolate(inputs, scale_factor=self.input_scale, mode='bilinear')
        return inputs

    def _apply(self, fn, recurse: bool = True) -> 'FrozenTeacher':
        super()._apply(fn, recurse)
        self.model._apply(fn, recurse)
        return self
