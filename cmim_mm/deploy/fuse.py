"""Joins each binary convolution of a network with what follows it, up to the next one's bits.

The network is traced to a graph. There a convolution, its norm, the sum with a shortcut and the nonlinearity
become one node, which also packs the bits of the convolution that reads the result; a float map is written
only where something else reads it.
"""
import operator
from typing import NamedTuple, Optional

import torch
from mmengine.model import BaseModule
from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from cmim_mm.binarize import BinaryConv2d
from cmim_mm.models.keep_format import keep_format

from .nonlinear import Nonlinear, as_nonlinear, is_affine
from .packed_conv import PackedConv2d
from .sign_conv import SignConv2d
from .stem import StemConv2d, is_stem
from .threshold_conv import ThresholdConv2d

#: max(f(x)) = f(max(x)) of these.
_RISING = nn.ReLU, nn.Hardtanh


class _Tracer(fx.Tracer):
    """Goes into containers, and stops at layers."""

    def __init__(self) -> None:
        super().__init__(autowrap_functions=(keep_format, ))

    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        return not isinstance(module, (BaseModule, nn.Sequential))


class _Chain(NamedTuple):
    """A binary convolution and what follows it: nodes that read nothing but each other and a shortcut."""
    conv: fx.Node
    nodes: list[fx.Node]
    norm: Optional[nn.Module]
    shortcut: Optional[fx.Node]
    shortcut_norm: Optional[nn.Module]
    act: Optional[nn.Module]


def fuse(network: nn.Module, folded: bool = False) -> fx.GraphModule:
    """A network of binary convolutions in packed form; its layers keep their names.

    Args:
        network: In eval mode; its own layers are replaced, so it is of no use afterwards.
        folded: Whether norms are multiplied into the convolutions before them, as in the first files; then
            rounding turns a sign at its threshold.

    Raises:
        ValueError: A layer is not 1-bit.
        Exception: torch.fx cannot trace the network (``fx.proxy.TraceError`` and others).
    """
    graph = _Tracer().trace(network)
    # Stages of which no map is asked for.
    graph.eliminate_dead_code(is_impure_node=lambda node: node.op in ('placeholder', 'output'))
    modules = dict(network.named_modules())
    _pass_by_position(graph)
    _remove_identities(graph, modules)
    if folded:
        _fold_float_norms(graph, network, modules)
    _join_stems(graph, network, modules, norms=not folded)
    readers = {node: SignConv2d(modules[node.target]) for node in graph.nodes
               if _is(node, modules, BinaryConv2d) and _calls(graph, node) == 1}
    for node in readers:
        chain = _chain(node, modules, readers, folded)
        _put(network, modules, node.target, _join(chain, graph, modules, readers, folded))
    graph.lint()
    return fx.GraphModule(network, graph, type(network).__name__).eval()


def _is(node: fx.Node, modules: dict[str, nn.Module], kind: type) -> bool:
    return node.op == 'call_module' and isinstance(modules[node.target], kind)


def _pass_by_position(graph: fx.Graph) -> None:
    """Layers get their one argument by position, also where a network names it."""
    for node in graph.nodes:
        if node.op == 'call_module' and not node.args and len(node.kwargs) == 1:
            node.args, node.kwargs = tuple(node.kwargs.values()), {}


def _remove_identities(graph: fx.Graph, modules: dict[str, nn.Module]) -> None:
    for node in list(graph.nodes):
        if node.target is keep_format or _is(node, modules, nn.Identity):
            node.replace_all_uses_with(node.args[0])
            graph.erase_node(node)


def _fold_float_norms(graph: fx.Graph, network: nn.Module, modules: dict[str, nn.Module]) -> None:
    for node in list(graph.nodes):
        norm = _next_layer(node)
        if (_norm_of(norm, modules) is not None and type(modules[node.target]) is nn.Conv2d
                and _calls(graph, node) == 1):
            _put(network, modules, node.target, fuse_conv_bn_eval(modules[node.target], modules[norm.target]))
            norm.replace_all_uses_with(node)
            graph.erase_node(norm)


def _join_stems(graph: fx.Graph, network: nn.Module, modules: dict[str, nn.Module], norms: bool) -> None:
    """A first convolution takes in its norm and the pool behind, also past an activation that never falls.

    Args:
        norms: Whether it takes in the norm, which stands before or behind the pool.
    """
    for node in list(graph.nodes):
        conv = modules[node.target] if _is(node, modules, nn.Conv2d) else None
        if conv is None or _calls(graph, node) > 1:
            continue
        takes_norm = norms and conv.bias is None
        norm, pool = None, _next_layer(node)
        if takes_norm and _norm_of(pool, modules) is not None:
            norm, pool = pool, _next_layer(pool)
        if pool is not None and isinstance(modules[pool.target], _RISING):
            pool = _next_layer(pool)
        if pool is None or not is_stem(conv, modules[pool.target]):
            continue
        behind = _next_layer(pool) if takes_norm and norm is None and pool.args[0] is node else None
        pool_first = _norm_of(behind, modules) is not None
        norm = behind if pool_first else norm
        stem = StemConv2d(conv, _norm_of(norm, modules), modules[pool.target], pool_first)
        _put(network, modules, node.target, stem)
        for gone in filter(None, (pool, norm)):
            gone.replace_all_uses_with(gone.args[0])
            graph.erase_node(gone)


def _calls(graph: fx.Graph, node: fx.Node) -> int:
    return sum(other.op == 'call_module' and other.target == node.target for other in graph.nodes)


def _put(network: nn.Module, modules: dict[str, nn.Module], name: str, module: nn.Module) -> None:
    network.set_submodule(name, module)
    modules[name] = module


def _only_user(node: fx.Node) -> Optional[fx.Node]:
    return next(iter(node.users)) if len(node.users) == 1 else None


def _next_layer(node: fx.Node) -> Optional[fx.Node]:
    """The one module that reads what a module gives."""
    user = _only_user(node) if node.op == 'call_module' else None
    return user if user is not None and user.op == 'call_module' else None


def _norm_of(node: Optional[fx.Node], modules: dict[str, nn.Module]) -> Optional[nn.Module]:
    module = modules[node.target] if node is not None and node.op == 'call_module' else None
    return module if is_affine(module) else None


def _chain(conv: fx.Node, modules: dict[str, nn.Module], readers: dict[fx.Node, SignConv2d],
           folded: bool) -> _Chain:
    nodes, shortcut, shortcut_norm, act = [conv], None, None, None
    user = _only_user(conv)
    norm = _norm_of(user, modules)
    if norm is not None:
        nodes.append(user)
    user = _only_user(nodes[-1])
    if user is not None and user.target in (operator.add, torch.add) and len(user.all_input_nodes) == 2 \
            and not user.kwargs:
        shortcut = next(node for node in user.all_input_nodes if node is not nodes[-1])
        nodes.append(user)
        if not folded and _norm_of(shortcut, modules) is not None and len(shortcut.users) == 1 \
                and shortcut.args[0] not in readers:
            nodes.insert(0, shortcut)
            shortcut_norm, shortcut = _norm_of(shortcut, modules), shortcut.args[0]
    user = _only_user(nodes[-1])
    if user is not None and user.op == 'call_module' \
            and as_nonlinear(modules[user.target], modules[conv.target].out_channels) is not None:
        nodes.append(user)
        act = modules[user.target]
    return _Chain(conv, nodes, norm, shortcut, shortcut_norm, act)


def _join(chain: _Chain, graph: fx.Graph, modules: dict[str, nn.Module],
          readers: dict[fx.Node, SignConv2d], folded: bool) -> SignConv2d:
    """Puts one node in the place of a chain, and hands its bits to the convolutions that can read them."""
    node, tail = chain.conv, chain.nodes[-1]
    conv = modules[node.target]
    takers = [user for user in tail.users if user in readers and readers[user].takes_bits]
    takers = [user for user in takers if _same_bits(readers[user], readers[takers[0]])]
    reader = readers[takers[0]] if takers else None
    module = PackedConv2d(conv, folded)
    module.writes_map = len(takers) < len(tail.users)
    with graph.inserting_before(tail.next):
        if takers and not module.writes_map and chain.shortcut is None and module.is_monotone \
                and (chain.act is None or _rises(as_nonlinear(chain.act, conv.out_channels))):
            follow = nn.Sequential(*(part for part in (chain.norm, chain.act) if part is not None))
            module = ThresholdConv2d(conv, follow, reader.threshold)
            y = bits = graph.call_module(node.target, node.args)
        else:
            if chain.norm is not None:
                module.fold_norm(chain.norm)
            if chain.shortcut_norm is not None:
                module.fold_shortcut_norm(chain.shortcut_norm)
            if chain.act is not None:
                module.fold_nonlinear(as_nonlinear(chain.act, conv.out_channels))
            threshold = graph.get_attr(f'{takers[0].target}.threshold') if takers else None
            y = bits = graph.call_module(node.target, (*node.args, chain.shortcut, threshold))
            if takers and module.writes_map:
                y, bits = (graph.call_function(operator.getitem, (y, i)) for i in range(2))
    if takers:
        module.next_groups = reader.groups
    tail.replace_all_uses_with(y)
    for taker in takers:
        taker.replace_input_with(y, bits)
    for old in reversed(chain.nodes):
        graph.erase_node(old)
    return module


def _rises(form: Nonlinear) -> bool:
    """Whether a nonlinearity is monotone whatever is learned; learned slopes may be negative."""
    return all(not isinstance(slope, torch.Tensor) and slope >= 0 for slope in (form.positive, form.negative))


def _same_bits(a: SignConv2d, b: SignConv2d) -> bool:
    return a is b or (a.groups == b.groups and torch.equal(a.threshold, b.threshold)
                      and 'threshold' in a._non_persistent_buffers_set & b._non_persistent_buffers_set)
