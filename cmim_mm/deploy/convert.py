"""Turns a network into its packed form."""
from functools import partial
from typing import Callable

from mmcv.cnn import ConvModule
from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from cmim_mm.binarize import BinaryConv2d
from cmim_mm.checkpoint import CheckpointError
from cmim_mm.models.backbones.base import Backbone
from cmim_mm.models.heads.resized_sum import ResizedSum
from cmim_mm.models.heads.seg_heads import SegformerHead

from .bilinear import bilinear, fold_relu
from .dense import LINEAR, dense
from .fuse import fuse
from .nonlinear import as_nonlinear, is_affine
from .packed_conv import PackedConv2d
from .sign_conv import SignConv2d


def convert(model: nn.Module, folded: bool = False) -> nn.Module:
    """Every binary convolution in packed form, joined with what follows it, its norm too.

    What comes out depends on the model's structure alone, names of layers stay: the state of one converted
    model fits another one that was built alike.

    Args:
        model: Any network; it is changed in place, and left in eval mode.
        folded: In the form of the first files (:func:`~cmim_mm.deploy.fuse.fuse`).

    Returns:
        The model; a new one where it is a backbone itself.

    Raises:
        CheckpointError: A layer cannot be packed; names it, and says why.
    """
    model.eval().requires_grad_(False)
    model = _replaced(model, Backbone, partial(_fused, folded=folded))
    for name, module in model.named_modules():
        if isinstance(module, ConvModule):
            _fold(module, name, folded)
    model = _replaced(model, BinaryConv2d, _packed)
    model = _replaced(model, ResizedSum, lambda resized, name: bilinear(resized))
    for module in model.modules():
        if isinstance(module, SegformerHead):
            fold_relu(module)
    return prepare(_replaced(model, nn.Conv2d, lambda conv, name: dense(conv)))


def prepare(model: nn.Module) -> nn.Module:
    """Readies the packed layers of a model for calls; again after another state was loaded."""
    for module in model.modules():
        if isinstance(module, SignConv2d):
            module.prepare()
    return model


def _replaced(model: nn.Module, kind: type, make: Callable[[nn.Module, str], nn.Module]) -> nn.Module:
    for name, module in list(model.named_modules()):
        if isinstance(module, kind):
            made = make(module, name)
            if not name:
                return made
            model.set_submodule(name, made)
    return model


def _fused(backbone: Backbone, name: str, folded: bool) -> nn.Module:
    try:
        fused = fuse(backbone, folded)
        return fused if folded else _replaced(fused, nn.Conv2d, lambda conv, name: dense(conv, alike=True))
    except fx.proxy.TraceError:  # a subclass whose forward follows its data: layer by layer
        return backbone
    except ValueError as error:
        raise CheckpointError(f'{name or type(backbone).__name__} cannot be packed: {error}') from error


def _packed(conv: BinaryConv2d, name: str, folded: bool = False) -> PackedConv2d:
    try:
        return PackedConv2d(conv, folded)
    except ValueError as error:
        raise CheckpointError(f'{name or type(conv).__name__} cannot be packed: {error}') from error


def _fold(module: ConvModule, name: str, folded: bool) -> None:
    """Takes the norm, and behind a binary convolution the nonlinearity, into the convolution."""
    if module.order != ('conv', 'norm', 'act') or module.with_spectral_norm:
        return
    norm = module.norm if module.with_norm else None
    if isinstance(module.conv, BinaryConv2d):
        module.conv = _packed(module.conv, f'{name}.conv', folded)
        if norm is not None and not module.conv.fold_norm(norm):
            return
        act = as_nonlinear(module.activate, module.out_channels) if module.with_activation else None
        if act is not None:
            module.conv.fold_nonlinear(act)
            module.with_activation = False
            del module.activate
    elif type(module.conv) in LINEAR and norm is not None and is_affine(norm):
        module.conv = fuse_conv_bn_eval(module.conv, norm)
    else:
        return
    if norm is not None:
        delattr(module, module.norm_name)
        module.with_norm, module.norm_name = False, None
