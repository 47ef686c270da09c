"""Makes a packed model of a config and a checkpoint."""
import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional, Union

import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch import Tensor, nn

from cmim_mm.checkpoint import CheckpointError, load_checkpoint_file
from cmim_mm.models.pretrained import lacking
from cmim_mm.registry import MODELS
from cmim_mm.version import __version__

from .checkpoint import PackedState
from .convert import convert
from .format import Packed
from .safe_config import KEYS, as_data, check_config
from .sign_conv import SignConv2d

#: What a model only trains with.
_TRAINING = ('auxiliary_head', 'teacher', 'train_cfg', 'cmim', 'init_cfg', 'pretrained')
#: Parts of ``meta`` that travel.
_META = ('dataset_meta', 'epoch', 'iter')


def pack_checkpoint(cfg: Config, checkpoint: Union[str, Path], half: bool = False,
                    part: Optional[str] = None) -> tuple[Packed, int]:
    """Packs the model of a config with the weights of a checkpoint.

    Args:
        cfg: The config that it was trained with.
        checkpoint: Its checkpoint, of any form that ``load_checkpoint_file`` takes.
        half: Whether floats are stored in 16 bits.
        part: 'backbone' for the encoder alone.

    Returns:
        What :func:`~cmim_mm.deploy.format.write` takes, and the bytes of the same model in float32.

    Raises:
        CheckpointError: The checkpoint does not fit, or a layer cannot be packed.
        BadConfig: The config holds something that is no data, or that no file may hold.
    """
    model, config, meta = trained_model(cfg, checkpoint, part)
    meta = {'cmim_mm_version': __version__, **{key: meta[key] for key in _META if meta.get(key) is not None}}
    return pack(model, config, meta, half), sum(4 * value.numel() for value in model.state_dict().values())


def trained_model(cfg: Config, checkpoint: Union[str, Path],
                  part: Optional[str] = None) -> tuple[nn.Module, dict[str, Any], dict[str, Any]]:
    """What a config evaluates, with a checkpoint's weights; arguments and errors as in ``pack_checkpoint``.

    Returns:
        The model in eval mode, the config that builds it, and the checkpoint's ``meta``.
    """
    if not isinstance(cfg.get('model'), dict):
        raise CheckpointError(f'{cfg.filename or "the config"} has no model')
    config = inference_config(cfg)
    loaded = load_checkpoint_file(checkpoint, 'cpu')
    state = loaded.get('state_dict', loaded) if isinstance(loaded, dict) else {}
    if isinstance(state, PackedState):
        raise CheckpointError(f'{checkpoint} is packed already: give the checkpoint that it was packed of')
    if part is not None:
        if not isinstance(config['model'].get(part), dict):
            raise CheckpointError(f'the model of this config has no part {part!r}')
        config = {'model': config['model'][part], 'default_scope': config.get('default_scope', 'mmseg')}
        state = {key[len(part) + 1:]: value for key, value in state.items() if key.startswith(f'{part}.')}
    check_config(as_data(config))
    model = build(config)
    problems = lacking(model.state_dict(), state)
    if problems:
        raise CheckpointError(f'{checkpoint} does not fit the {type(model).__name__} of this config: '
                              f'{"; ".join(problems)}. Give the config that it was trained with; a foreign '
                              'checkpoint passes tools/model_converters/import_checkpoint.py first')
    model.load_state_dict(state, strict=False)
    return model, config, loaded.get('meta') or {}


def pack(model: nn.Module, config: Mapping[str, Any], meta: Optional[Mapping[str, Any]] = None,
         half: bool = False) -> Packed:
    """Packs a trained model; it stays as it is.

    Args:
        model: What ``config['model']`` builds, with its weights.
        config: Keys as in ``safe_config.KEYS``.
        meta: What else is known, e.g. ``dataset_meta``.
        half: Whether floats are stored in 16 bits.

    Raises:
        CheckpointError: A layer cannot be packed, or a number does not fit 16 bits; names the layer.
    """
    converted = convert(copy.deepcopy(model))
    tensors = packed_state(converted)
    if half:
        tensors = {name: _half(name, tensor) for name, tensor in tensors.items()}
    bits = {f'{name}.bits' if name else 'bits': (module.shape[0], *module.shape[2:], module.shape[1])
            for name, module in converted.named_modules() if isinstance(module, SignConv2d)}
    return Packed(dict(config), dict(meta or {}), tensors, bits)


def packed_state(converted: nn.Module) -> dict[str, Tensor]:
    """What a file keeps of a converted model's state."""
    return {name: tensor for name, tensor in converted.state_dict().items()
            if not name.endswith('num_batches_tracked')}


def build(config: Mapping[str, Any]) -> nn.Module:
    """The model of a config, untrained, in eval mode."""
    with DefaultScope.overwrite_default_scope(config.get('default_scope', 'mmseg')):
        return MODELS.build(Config(dict(model=copy.deepcopy(config['model']))).model).eval()


def inference_config(cfg: Config) -> dict[str, Any]:
    """What evaluation reads of a config, as plain data."""
    config = {key: _plain(cfg[key]) for key in KEYS if cfg.get(key) is not None}
    hooks = config.pop('default_hooks', {})
    if 'visualization' in hooks:
        config['default_hooks'] = {'visualization': hooks['visualization']}
    return {**config, 'model': for_inference(config['model'])}


def for_inference(model: Mapping[str, Any]) -> dict[str, Any]:
    """A model's config without what it only trains with: CMIM, teachers, auxiliary heads, start values."""
    if model.get('type') in ('cmim_mm.CMIM', 'CMIM'):
        model = {**model, 'type': model['on']}
        del model['on']
    model = {key: value for key, value in model.items() if key not in _TRAINING}
    if isinstance(model.get('neck'), dict) and model['neck'].get('type', '').endswith('ContrastiveMINeck'):
        inner = model.pop('neck').get('inner')
        if inner is not None:
            model['neck'] = inner
    for part, key in (('backbone', 'taps'), ('data_preprocessor', 'teacher_scale')):
        if isinstance(model.get(part), dict):
            model[part] = {name: value for name, value in model[part].items() if name != key}
    return _without_starts(model)


def _without_starts(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_starts(entry) for key, entry in value.items()
                if key not in ('init_cfg', 'pretrained')}
    if isinstance(value, (list, tuple)):
        return type(value)(_without_starts(entry) for entry in value)
    return value


def _plain(value: Any) -> Any:
    """A config's dicts as plain ones."""
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_plain(entry) for entry in value)
    return value


def _half(name: str, tensor: Tensor) -> Tensor:
    if not tensor.is_floating_point():
        return tensor
    found = tensor.half()
    if not torch.equal(found.isfinite(), tensor.isfinite()):
        raise CheckpointError(f'{name}: {tensor.abs().max():.3g} does not fit 16 bits; pack without --half')
    return found
