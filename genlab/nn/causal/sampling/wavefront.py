"""Wavefront engine: networks of masked convolutions, computed on a slanted line of pixels at once.

A layer that reaches ``right`` pixels to the right in the rows above can be computed at a pixel as
soon as the row above is so many pixels ahead. So a row need not wait for the end of the one above:
while it is at column c, the next can be at ``c - lag``, with ``lag`` one more than the farthest
reach of any single layer, for values of earlier layers are as old as the pixels they belong to.
All rows that are on their way make one batch. An image of 28x28 pixels whose layers reach 3 pixels
takes 136 steps in place of 784, and a step's operations are large enough to be worth their start.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx, nn

from genlab.nn.causal.layers import CausalLayer, Domain, Pointwise, Position
from genlab.nn.causal.masked import MaskedConv2d
from genlab.nn.causal.sampling.graph import traced
from genlab.nn.causal.sampling.lines import Lines, Reading

__all__ = ["Wavefront", "lag"]

each: Any = fx.node.map_aggregate
"""Applies a function to a tensor, or to each of several."""


def lag(network: nn.Module) -> int | None:
    """Columns that a row must be behind the one above; None if it must wait for its end."""
    layers = [m for m in network.modules() if isinstance(m, CausalLayer)]
    masked = [m for m in layers if isinstance(m, MaskedConv2d)]
    if not masked or not all(isinstance(m, MaskedConv2d | Position) for m in layers):
        return None
    return 1 + max((m.right for m in masked if m.rows), default=0)


class Wavefront:
    """A causal network's parameters of the pixels on one slanted line after the other.

    See `genlab.nn.causal.sampling.engines.Engine` for its use. Arguments and errors are those of
    `genlab.nn.causal.sampling.cached.Cached`, but for the network, whose `lag` must be less than
    the image's width.
    """

    def __init__(
        self, network: nn.Module, image: Tensor, context: Tensor | None = None, rows: int = 0
    ):
        behind = lag(network)
        assert behind is not None
        self.graph = traced(network, image, context)
        self.batch, self.like = len(image), image[:0]
        self.memory = Lines(self.graph, image, context, rows, behind)
        self.lines = self.memory.sites
        # The operations of a line: those that lead to the output, and those that need its pixels.
        self.plan: list[tuple[fx.Node, Callable[[], Any]]] = []
        self.after: list[tuple[fx.Node, Callable[[], Any]]] = []
        for node in self.graph.graph.nodes:
            if node in self.memory.early or node in self.graph.absorbed or node.op == "output":
                continue
            late = self.graph.domain[node] == Domain.IMAGE
            (self.after if late else self.plan).append((node, self._operation(node)))
        self.result = self.memory.reading(self.graph.result)

    def begin(self, line: int) -> None:
        """Comes to a line."""
        self.memory.begin(line)

    def params(self) -> Tensor:
        """The network's output on the line, ``(rows, B, P)``."""
        for node, compute in self.plan:
            self.memory.values[node] = compute()
        return self.result().unflatten(0, (-1, self.batch))

    def put(self, value: Tensor) -> None:
        """Makes the pixels ``(rows, B, C)`` of the line known, as floats."""
        self.memory.values[self.graph.image] = value.flatten(0, 1)
        for node, compute in self.after:
            self.memory.values[node] = compute()

    # ------------------------------------------------------------------------------------------
    # The operations of a line

    def _operation(self, node: fx.Node) -> Callable[[], Any]:
        """Operation that computes a node on the line, into where convolutions will read it."""
        graph = self.graph
        compute = self.memory.reading(node) if node is graph.image else self._computation(node)
        if node not in self.memory.maps:
            return compute
        here = self.memory.maps[node].reading()
        if graph.kind[node] == "relu" and all(graph.kind[user] == "masked" for user in node.users):
            source = self.memory.reading(graph.inputs(node)[0])
            return lambda: torch.clamp_min(source(), 0, out=here())

        def keep() -> Tensor:
            value: Tensor = compute()
            here().copy_(value)
            return value

        return keep

    def _computation(self, node: fx.Node) -> Callable[[], Any]:
        """Function that returns a node's value on the line."""
        graph, inputs = self.graph, self.graph.inputs(node)
        if node in graph.sums:
            return self._sum(node)
        if graph.kind[node] == "relu":
            source = self.memory.reading(inputs[0])
            if inputs[0] in graph.sums and len(inputs[0].users) == 1:
                return lambda: source().relu_()  # nobody else reads that memory
            return lambda: source().relu()
        sources = {source: self.memory.reading(source) for source in inputs}

        def compute() -> Any:
            """Does what the node does with an image of one pixel for each pixel."""
            given = {n: each(read(), lambda x: x[:, :, None, None]) for n, read in sources.items()}
            return each(graph.evaluate(node, given), lambda x: x.flatten(1))

        return compute

    def _sum(self, node: fx.Node) -> Callable[[], Tensor]:
        """A sum of matrix products and values: a new tensor, into which all is added."""
        terms, base = self.graph.sums[node], self._base(node)
        values = [self.memory.reading(value) for value in terms.values]
        products: list[tuple[Reading, Any]] = []
        for part in terms.linear:
            products += self._products(part)
        (read, matrix), *more = products or [(values.pop(), None)]

        def add() -> Tensor:
            total = base() + read() if matrix is None else torch.addmm(base(), read(), matrix)
            for taps, weight in more:
                total.addmm_(taps(), weight)
            for value in values:
                total.add_(value())
            return total

        return add

    def _base(self, node: fx.Node) -> Reading:
        """Start of a sum: biases, and what is known of the place and the context."""
        early = [self.memory.early[term] for term in self.graph.sums[node].rows]
        bias = self.graph.bias(node, self.like)
        return self.memory.early_reading(sum(early, bias[:, None, None])) if early else lambda: bias

    def _products(self, node: fx.Node) -> list[tuple[Reading, Tensor]]:
        """The matrix products of a layer: what each reads and multiplies with, ``(K, outputs)``."""
        module, (source,) = self.graph.module(node), self.graph.inputs(node)
        if isinstance(module, Pointwise):
            return [(self.memory.reading(source), module.matrix().t().contiguous())]
        assert isinstance(module, MaskedConv2d)
        d = module.dilation
        rows = [(0, module.own_row()[:, :, 0])]
        if module.above is not None:
            rows += [(up, module.above[:, :, module.rows - up]) for up in range(1, module.rows + 1)]
        products = []
        for up, weight in rows:  # (outputs, inputs, taps); at once those that are neighbours
            group = weight.shape[2] if d == 1 else 1
            for tap in range(0, weight.shape[2], group):
                matrix = weight[:, :, tap : tap + group].permute(2, 1, 0).flatten(0, 1)
                left = (module.left - tap) * d
                read = self.memory.maps[source].reading(up * d, left, group)
                products.append((read, matrix.contiguous()))
        return products
