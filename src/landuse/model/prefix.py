"""The frozen prefix of a network, cut off from the rest, which learns.

The prefix needs no gradient, so it runs without one and with its BatchNorms folded into its convolutions, and what it
makes of a tile stays the same for as long as it is frozen.
"""

import copy
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from operator import attrgetter
from typing import NamedTuple

import torch
from timm.layers import Conv2dSame, is_notrace_module  # type: ignore[attr-defined]
from torch import Tensor, fx, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_eval

from landuse.model.adapters import Inflated
from landuse.model.convolutions import LeanConv2d

_LINEAR = (nn.Conv2d, LeanConv2d, Conv2dSame)  # in their weights; others may rescale what is folded into them


class PrefixOutput(NamedTuple):
    """What the prefix made of a batch: the input of the rest, (B, ...); and normalised pixels, if it sees them, too."""

    values: Tensor
    pixels: Tensor | None = None


@dataclass(frozen=True)
class Cut:
    """prefix: normalised pixels -> (B, ...). rest: that -> (B, features); it shares its modules with the network.

    rest_sees_pixels: it gets them as well, for a branch that learns beside the frozen one (``fusion``).
    """

    prefix: fx.GraphModule
    rest: fx.GraphModule
    rest_sees_pixels: bool
    _rounded: dict[torch.dtype, fx.GraphModule] = field(default_factory=dict)

    def run_prefix(self, x: Tensor) -> Tensor:
        """Run the prefix; in autocast with weights that are rounded once, not for every batch."""
        kind = x.device.type
        if not torch.is_autocast_enabled(kind):
            return self.prefix(x)  # type: ignore[no-any-return]
        dtype = torch.get_autocast_dtype(kind)
        if dtype not in self._rounded:
            self._rounded[dtype] = copy.deepcopy(self.prefix)
            for module in self._rounded[dtype].modules():
                if isinstance(module, nn.Conv2d | nn.Linear):
                    module.to(dtype)
        return self._rounded[dtype](x)  # type: ignore[no-any-return]


def split(backbone: nn.Module, resting: Collection[nn.Module], frozen: Collection[nn.Parameter]) -> Cut | None:
    """Cut a network after everything that is computed from frozen parts alone.

    resting: modules that stay in eval mode. frozen: parameters that do not learn. None: nothing is frozen before what
    learns, or the network's code cannot be traced, depends on the mode it is in, or passes on more than one tensor at
    the cut; the input is none of them: what learns may see it, too.
    """
    if not resting:
        return None
    mixed = {module for module in backbone.modules() if len({p in frozen for p in module.parameters()}) == 2}
    # a network that resists to be traced in full may let its parts that are not cut be taken whole
    for graph in (_traced(backbone, lambda _: False), _traced(backbone, lambda module: module not in mixed)):
        end = _cut(graph, _settled(graph, backbone, set(resting), set(frozen))) if graph else None
        if graph is None or end is None:
            continue
        prefix, rest = _prefix(backbone, graph, end), _rest(backbone, graph, end)
        if [*prefix.parameters()]:  # else it does nothing but choose bands
            return Cut(prefix, rest, rest_sees_pixels=len(rest.graph.find_nodes(op="placeholder")) == 2)
    return None


class _Tracer(fx.Tracer):
    """Looks into what is made of modules; a module without any, and what timm knows to resist, is one node."""

    def __init__(self, whole: Callable[[nn.Module], bool]) -> None:
        super().__init__()
        self._whole = whole

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        whole = (
            isinstance(m, _BatchNorm | Inflated)
            or is_notrace_module(type(m))
            or not any(m.children())
            or self._whole(m)
        )
        return whole or super().is_leaf_module(m, module_qualified_name)


def _traced(network: nn.Module, whole: Callable[[nn.Module], bool]) -> fx.Graph | None:
    """Return the graph of a network, if it can be traced and is the same in training and in eval mode."""
    modes = [(module, module.training) for module in network.modules()]
    graphs = []
    try:
        for mode in (True, False):
            for module, _ in modes:
                module.training = mode
            graphs.append(_Tracer(whole).trace(network))
    except Exception:  # anything may go wrong in code that was not written to be traced
        return None
    finally:
        for module, mode in modes:
            module.training = mode
    return graphs[0] if str(graphs[0]) == str(graphs[1]) else None


def _cut(graph: fx.Graph, settled: set[fx.Node]) -> fx.Node | None:
    """Return the last settled node through which everything after it gets what comes before it, but for the input."""
    before = set(graph.nodes)
    node: fx.Node
    for node in reversed(graph.nodes):
        inner = (n for n in before if n.op not in ("get_attr", "placeholder"))
        crossing = {n for n in inner if any(user not in before for user in n.users)}
        if node in settled and crossing == {node}:
            return node
        before.remove(node)
    return None


def _settled(graph: fx.Graph, network: nn.Module, resting: set[nn.Module], frozen: set[nn.Parameter]) -> set[fx.Node]:
    """Return the nodes whose value depends on the input and on frozen parts only."""
    modules = dict(network.named_modules())
    settled: set[fx.Node] = set()
    for node in graph.nodes:
        if node.op == "output" or any(before not in settled for before in node.all_input_nodes):
            continue
        if node.op == "call_module":
            still = all(module in resting or _is_plain(module) for module in modules[str(node.target)].modules())
        elif node.op == "get_attr":
            still = attrgetter(str(node.target))(network) in frozen
        else:
            still = True
        if still:
            settled.add(node)
    return settled


def _is_plain(module: nn.Module) -> bool:
    """Whether a module has neither state of its own nor random numbers."""
    random = any(word in type(module).__name__.lower() for word in ("drop", "stochastic"))
    return not (random or [*module.parameters(recurse=False), *module.buffers(recurse=False)])


def _prefix(network: nn.Module, graph: fx.Graph, end: fx.Node) -> fx.GraphModule:
    first = copy.deepcopy(graph)
    first.output_node().args = (next(node for node in first.nodes if node.name == end.name),)
    prefix = fx.GraphModule(network, first)
    for name, module in list(prefix.named_modules()):
        if isinstance(module, Inflated) and type(module.rgb) in _LINEAR:
            prefix.add_submodule(name, module.merged())
    _fold_batch_norms(prefix)
    prefix.graph.eliminate_dead_code()
    prefix.delete_all_unused_submodules()
    prefix.recompile()
    return prefix.requires_grad_(False).eval()


def _rest(network: nn.Module, graph: fx.Graph, start: fx.Node) -> fx.GraphModule:
    second = fx.Graph()
    copied = {start: second.placeholder("values")}
    after = False
    for node in graph.nodes:
        if after or node.op in ("get_attr", "placeholder"):
            copied[node] = second.node_copy(node, lambda n: copied[n])
        after = after or node is start
    for node in second.find_nodes(op="placeholder"):
        if not node.users:
            second.erase_node(node)
    rest = fx.GraphModule(network, second)
    rest.graph.eliminate_dead_code()
    rest.recompile()
    return rest


def _fold_batch_norms(prefix: fx.GraphModule) -> None:
    """Replace a convolution and the BatchNorm after it by one convolution; timm's norms keep their activation."""
    modules = dict(prefix.named_modules())
    calls = Counter(node.target for node in prefix.graph.nodes if node.op == "call_module")
    for node in list(prefix.graph.nodes):
        norm = modules.get(str(node.target)) if node.op == "call_module" else None
        before = node.args[0] if isinstance(norm, _BatchNorm) and norm.running_mean is not None else None
        if not isinstance(before, fx.Node) or before.op != "call_module" or len(before.users) > 1:
            continue
        conv = modules[str(before.target)]
        if norm is None or type(conv) not in _LINEAR or calls[before.target] + calls[node.target] > 2:
            continue
        with torch.no_grad():
            folded = fuse_conv_bn_eval(copy.deepcopy(conv).eval(), copy.deepcopy(norm).eval())
        prefix.add_submodule(str(before.target), folded.to(memory_format=torch.channels_last))
        prefix.add_submodule(str(node.target), getattr(norm, "act", nn.Identity()))
