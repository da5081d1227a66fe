"""The graph of a causal network: what each value depends on, and which sums are one operation."""

import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from genlab.errors import ConfigError, Unsupported
from genlab.nn.causal.layers import CausalLayer, Domain, Pointwise, is_sitewise
from genlab.nn.causal.masked import MaskedConv2d, VerticalConv2d

__all__ = ["CausalGraph", "Terms", "traced"]

FUNCTIONS: dict[Any, str] = {
    operator.add: "add",
    torch.add: "add",
    operator.mul: "mul",
    torch.mul: "mul",
    operator.neg: "neg",
    torch.neg: "neg",
    torch.cat: "cat",
    torch.relu: "relu",
    torch.relu_: "relu",
    F.relu: "relu",
    F.elu: "elu",
    F.silu: "silu",
    F.gelu: "gelu",
    torch.tanh: "tanh",
    torch.sigmoid: "sigmoid",
    torch.chunk: "chunk",
    operator.getitem: "getitem",
}
METHODS = {"chunk", "tanh", "sigmoid", "relu", "neg", "add", "mul"}
MODULES: dict[type, str] = {
    nn.ReLU: "relu",
    nn.ELU: "elu",
    nn.SiLU: "silu",
    nn.GELU: "gelu",
    nn.Tanh: "tanh",
    nn.Sigmoid: "sigmoid",
}


class Tracer(fx.Tracer):
    """Goes into everything but the layers that the engine knows."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """True if the module is one operation of the graph."""
        leaf = isinstance(m, CausalLayer | Pointwise | nn.Dropout) or is_sitewise(m)
        return leaf or super().is_leaf_module(m, module_qualified_name)


class Unconditional(nn.Module):
    """Fixes the context to None, which the trace must not take for a value."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.network(x, None)
        return result


class GraphCache:
    """The graph of a network, kept with it; a copy of the network gets an empty one."""

    def __init__(self) -> None:
        self.key: tuple[object, ...] = ()
        self.graph: CausalGraph | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> "GraphCache":
        return GraphCache()

    def __reduce__(self) -> tuple[Any, ...]:
        return GraphCache, ()


def traced(network: nn.Module, image: Tensor, context: Tensor | None) -> "CausalGraph":
    """The graph of a network, traced when it is first asked for and when its modules changed.

    Tracing takes as long as drawing a few images. The graph holds no weights, only modules.

    Args:
        network: As for `CausalGraph`.
        image: Images ``(B, C, H, W)``; one pixel of one of them will do to trace.
        context: Their context, or None.
    """
    image, context = image[:1, :, :1, :1], None if context is None else context[:1]
    cache = network.__dict__.setdefault("_causal_graph", GraphCache())
    modules = [(id(m), getattr(m, "strict", None)) for m in network.modules()]
    key = (image.shape[1], context is None, *modules)
    if cache.graph is None or cache.key != key:
        cache.key, cache.graph = key, CausalGraph(network, image, context)
    graph: CausalGraph = cache.graph
    return graph


@dataclass
class Terms:
    """A sum of linear maps, of values and of what is known before the row begins."""

    linear: list[fx.Node] = field(default_factory=list)
    values: list[fx.Node] = field(default_factory=list)
    rows: list[fx.Node] = field(default_factory=list)
    absorbed: list[fx.Node] = field(default_factory=list)
    """Nodes that are computed as part of the sum, and not by themselves."""


class CausalGraph:
    """The operations of a network, each with its domain and its number of channels.

    Args:
        network: Called with an image ``(B, C, H, W)`` and, if conditional, a context
            ``(B, K, 1, 1)``.
        image: An image to find out the channels with, ``(1, C, H, W)``; the smallest will do.
        context: A context, or None.

    Raises:
        ConfigError: The network is not causal.
        Unsupported: The network does something that has no cached form.
    """

    def __init__(self, network: nn.Module, image: Tensor, context: Tensor | None):
        # The trace, without what does nothing in evaluation mode and what nobody reads
        root = Unconditional(network) if context is None else network
        self.graph = Tracer().trace(root)
        self.modules: dict[str, nn.Module] = dict(root.named_modules())
        self.network = network
        for node in list(self.graph.nodes):
            if node.op == "call_module" and isinstance(self.module(node), nn.Dropout | nn.Identity):
                node.replace_all_uses_with(node.args[0])
        for node in reversed(list(self.graph.nodes)):
            if not node.users and node.op not in ("placeholder", "output"):
                self.graph.erase_node(node)
        # What each value depends on: that of the output decides whether the network is causal
        self.domain: dict[fx.Node, Domain] = {}
        self.kind: dict[fx.Node, str] = {}
        inputs = [node for node in self.graph.nodes if node.op == "placeholder"]
        self.image = inputs[0]
        self.context = inputs[1] if context is not None else None
        for node in self.graph.nodes:
            self.kind[node] = self._kind(node)
            self.domain[node] = self._domain(node)
        (self.output,) = (n for n in self.graph.nodes if n.op == "output")
        self.result: fx.Node = self.output.args[0]
        if self.domain[self.result] > Domain.PIXEL:
            raise ConfigError("the network is not causal: its output at a pixel sees that pixel")
        # Channels, found out by a pass
        found = self.run(image, context)
        self.channels = {n: v.shape[1] for n, v in found.items() if isinstance(v, Tensor)}
        # Sums, from the output up: the largest one takes in those within it
        self.sums: dict[fx.Node, Terms] = {}
        absorbed: set[fx.Node] = set()
        for node in reversed(list(self.graph.nodes)):
            if node not in absorbed and self.domain[node] >= Domain.PIXEL and self._is_sum(node):
                terms = self.sums[node] = Terms()
                self._collect(node, terms, root=True)
                absorbed |= set(terms.absorbed)
        self.absorbed = absorbed

    def module(self, node: fx.Node) -> nn.Module:
        """The module that the node calls."""
        return self.modules[str(node.target)]

    def bias(self, node: fx.Node, like: Tensor) -> Tensor:
        """The biases of all linear maps of a sum, ``(C,)``."""
        total = like.new_zeros(self.channels[node])
        for part in self.sums[node].linear:
            bias = self.module(part).bias
            total = total + bias if isinstance(bias, Tensor) else total
        return total

    def inputs(self, node: fx.Node) -> list[fx.Node]:
        """The nodes that the node reads, in order."""
        return list(node.all_input_nodes)

    def evaluate(self, node: fx.Node, values: dict[fx.Node, Any]) -> Any:
        """Does what the node does with values of its inputs."""
        args = fx.node.map_arg(node.args, lambda n: values[n])
        kwargs = fx.node.map_arg(node.kwargs, lambda n: values[n])
        if node.op == "call_module":
            return self.module(node)(*args, **kwargs)
        if node.op == "call_method":
            return getattr(args[0], str(node.target))(*args[1:], **kwargs)
        assert callable(node.target)
        target: Callable[..., Any] = node.target
        return target(*args, **kwargs)

    def run(self, image: Tensor, context: Tensor | None) -> dict[fx.Node, Any]:
        """The value of each node, in one pass over whole images as `forward` makes it."""
        values: dict[fx.Node, Any] = {}
        for node in self.graph.nodes:
            if node.op == "placeholder":
                values[node] = image if node is self.image else context
            elif node.op != "output":
                values[node] = self.evaluate(node, values)
        return values

    def _kind(self, node: fx.Node) -> str:
        """The operation's name; what is not known by name must be known to be sitewise."""
        if node.op in ("placeholder", "output"):
            return str(node.op)
        if node.op == "call_module":
            module = self.module(node)
            if isinstance(module, MaskedConv2d):
                return "masked"
            if isinstance(module, VerticalConv2d):
                return "vertical"
            if isinstance(module, CausalLayer):
                return "layer"
            if isinstance(module, Pointwise):
                return "pointwise"
            name = MODULES.get(type(module))
            if name or is_sitewise(module):
                return name or "sitewise"
        elif node.op == "call_function" and node.target in FUNCTIONS:
            return FUNCTIONS[node.target]
        elif node.op == "call_method" and node.target in METHODS:
            return str(node.target)
        raise Unsupported(f"{node.target} of {type(self.network).__name__} has no cached form")

    def _domain(self, node: fx.Node) -> Domain:
        before = [self.domain[n] for n in self.inputs(node)]
        if node.op == "placeholder":
            return Domain.IMAGE if node is self.image else Domain.CONSTANT
        module = self.module(node) if node.op == "call_module" else None
        if isinstance(module, CausalLayer):
            return module.domain(*before)
        return max(before)

    def _is_sum(self, node: fx.Node) -> bool:
        if self.kind[node] == "add":
            return all(isinstance(arg, fx.Node) for arg in node.args) and not node.kwargs
        return self.kind[node] in ("masked", "pointwise")

    def _collect(self, node: fx.Node, terms: Terms, root: bool = False) -> None:
        """Adds a node to a sum; a sum within it that nobody else reads is taken apart."""
        if self.domain[node] <= Domain.ROW:
            terms.rows.append(node)
        elif self._is_sum(node) and (root or len(node.users) == 1):
            if not root:
                terms.absorbed.append(node)
            if self.kind[node] == "add":
                for arg in node.args:
                    assert isinstance(arg, fx.Node)
                    self._collect(arg, terms)
            else:
                terms.linear.append(node)
        else:
            terms.values.append(node)
