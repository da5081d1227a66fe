"""Cached engine: any causal network, computed pixel by pixel from what is kept of earlier ones.

Nothing here is written for one network. The graph of its forward pass is traced once; each of its
values knows what it depends on (`genlab.nn.causal.layers.Domain`), so what the rows above say is
computed for a whole row at once, and what is left is, for each pixel, a short list of operations on
buffers that were laid out before: of a masked convolution there remains one matrix product with the
window of pixels to the left, of a residual connection the summand of such a product.
Cost of an image: about that of one forward pass of it (Ramachandran et al. 2017, arXiv:1704.06001,
have the idea and a sampler by hand).
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, fx, nn

from genlab.nn.causal.layers import CausalLayer, Domain, Pointwise, State
from genlab.nn.causal.masked import MaskedConv2d
from genlab.nn.causal.sampling.graph import traced
from genlab.nn.causal.sampling.layout import INPLACE, Layout
from genlab.nn.causal.sampling.rows import RowsAbove

__all__ = ["Cached"]

Operation = Callable[[], Any]
Pixel = Callable[..., Tensor]

WRITING: dict[str, Callable[[list[Tensor], Tensor], Any]] = {
    "mul": lambda inputs, out: torch.mul(*inputs, out=out),
    "cat": lambda inputs, out: torch.cat(inputs, 1, out=out),
}
"""Operations that can write their result where it shall lie."""


class Cached:
    """A causal network's parameters of one pixel after the other.

    See `genlab.nn.causal.sampling.engines.Engine` for its use.

    Args:
        network: A network of the layers of `genlab.nn.causal.layers`, in evaluation mode; called
            with an image and a context.
        image: The image so far ``(B, C, H, W)``, as floats: rows that are done may be given.
        context: Context of the images, ``(B, K, 1, 1)``, or None.
        rows: How many rows are done.

    Raises:
        ConfigError: The network is not causal.
        Unsupported: The network does something that has no cached form.
    """

    def __init__(
        self, network: nn.Module, image: Tensor, context: Tensor | None = None, rows: int = 0
    ):
        batch, _, height, self.width = image.shape
        self.lines = [[site] for site in range(rows * self.width, height * self.width)]
        self.row, self.column, self.like = rows, 0, image[:0]
        self.graph = graph = traced(network, image, context)
        # Memory: of the row at hand, of the rows above, and of layers that keep it themselves.
        self.layout = Layout(graph, batch, self.width, self.like)
        self.above = RowsAbove(graph, batch, self.width, self.like, context)
        self.states: dict[fx.Node, State] = {}
        for node in graph.graph.nodes:
            if graph.kind[node] == "layer" and not self.layout.early(node):
                layer = graph.module(node)
                assert isinstance(layer, CausalLayer)
                self.states[node] = layer.start(batch, height, self.width, self.like)
        if rows:
            found = graph.run(image[:, :, :rows], context)
            self.above.fill(found, rows)
            for node, state in self.states.items():
                state.fill(found[node], *(found[n] for n in graph.inputs(node)))
        # The operations at each column: those that lead to the output, those that need the pixel.
        self.plan: list[list[Operation]] = [[] for _ in range(self.width)]
        self.after: list[list[Operation]] = [[] for _ in range(self.width)]
        for node in graph.graph.nodes:
            self._emit(node)
        self.output = self.layout.home(graph.result)
        self.input = self.layout.home(graph.image)

    def begin(self, line: int) -> None:
        """Comes to a pixel."""
        self.row, self.column = divmod(self.lines[line][0], self.width)
        if self.column == 0:
            if line:
                self.above.end(self.layout.row)
            for state in self.states.values():
                state.row(self.row)
            self.above.begin(self.row)

    def params(self) -> Tensor:
        """The network's output ``(1, B, P)`` at the pixel; a buffer, overwritten later."""
        for operation in self.plan[self.column]:
            operation()
        return self.output[self.column][None]

    def put(self, value: Tensor) -> None:
        """Makes the pixel ``(1, B, C)`` known, as a float."""
        self.input[self.column].copy_(value[0])
        for operation in self.after[self.column]:
            operation()

    # ------------------------------------------------------------------------------------------
    # The operations of a pixel

    def _emit(self, node: fx.Node) -> None:
        """Adds what computes a node to the plan of each column."""
        graph, layout = self.graph, self.layout
        if node in graph.absorbed or graph.kind[node] in ("output", "chunk"):
            return
        if layout.early(node) and node not in layout.windows and not self._read_by_pixel(node):
            return
        plan = self.after if graph.domain[node] == Domain.IMAGE else self.plan
        operations = self._operations(node)
        copies = list(layout.windows.get(node, {}).values())[1:]  # for other dilations
        for column, out in enumerate(layout.home(node)):
            plan[column] += operations(column, out)
            plan[column] += [partial(window.slot(column).copy_, out) for window in copies]
        if node in self.states:
            inputs = graph.inputs(node)
            known = max(graph.domain[n] for n in inputs) <= Domain.PIXEL
            done, homes = self.states[node].done, [layout.home(n) for n in inputs]
            for column, into in enumerate(self.plan if known else self.after):
                into.append(partial(self._done, done, column, [x[column] for x in homes]))

    def _operations(self, node: fx.Node) -> Callable[[int, Tensor], list[Operation]]:
        """Factory of the operations that compute a node at a column, into its home there."""
        graph, kind, inputs = self.graph, self.graph.kind[node], self.graph.inputs(node)
        # No work, or that of a copy
        if self.layout.early(node):
            return lambda column, out: [partial(self._from_row, node, column, out)]
        if kind == "getitem" and node in self.layout.windows:
            part = self.layout.part(node)
            return lambda column, out: [partial(out.copy_, part[column])]
        if kind in ("placeholder", "getitem"):
            return lambda column, out: []
        # Operations that write where the result shall lie
        if node in graph.sums:
            return self._sum(node)
        homes = [self.layout.home(n) for n in inputs]
        sources = list(zip(inputs, homes, strict=True))
        if kind == "layer":
            pixel = self.states[node].pixel
            return lambda column, out: [
                partial(self._step, pixel, column, [x[column] for x in homes], out)
            ]
        if kind in INPLACE:
            return lambda column, out: activation(kind, homes[0][column], out)
        operands: Any = node.args[0] if kind == "cat" else node.args
        if kind in WRITING and list(operands) == inputs:  # each once, and no numbers
            write = WRITING[kind]
            return lambda column, out: [partial(write, [x[column] for x in homes], out)]
        # Anything else
        return lambda column, out: [
            partial(self._generic, node, {n: x[column][:, :, None, None] for n, x in sources}, out)
        ]

    def _sum(self, node: fx.Node) -> Callable[[int, Tensor], list[Operation]]:
        """A sum: matrix products and values, added to what was known before the row."""
        graph, terms = self.graph, self.graph.sums[node]
        factors = [self._factor(n) for n in terms.linear]
        values = [self.layout.home(n) for n in terms.values]
        base = [graph.bias(node, self.like)] * self.width
        if terms.rows or any(n in self.above.kernels for n in terms.linear):
            base = list(self.above.known_part(node).unbind(1))

        def operations(column: int, out: Tensor) -> list[Operation]:
            found: list[Operation] = []
            total = base[column]
            for taps, weight in factors:
                found.append(partial(torch.addmm, total, taps[column], weight, out=out))
                total = out
            for value in values:
                found.append(partial(torch.add, total, value[column], out=out))
                total = out
            return found

        return operations

    def _factor(self, node: fx.Node) -> tuple[list[Tensor], Tensor]:
        """Factors of a linear layer at each column, ``(B, K)`` and ``(K, C')``."""
        module, (source,) = self.graph.module(node), self.graph.inputs(node)
        if isinstance(module, Pointwise):
            return self.layout.home(source), module.matrix().T.contiguous()
        assert isinstance(module, MaskedConv2d)
        window = self.layout.windows[source][module.dilation]
        taps = [window.taps(c, module.left, module.centre) for c in range(self.width)]
        weight = module.own_row()[:, :, 0]
        return taps, weight.permute(2, 1, 0).flatten(0, 1).contiguous()

    def _read_by_pixel(self, node: fx.Node) -> bool:
        """True if an operation other than a sum reads a row's value at a pixel."""
        graph = self.graph
        return any(
            user.op == "output"
            or not (self.layout.early(user) or user in graph.sums or user in graph.absorbed)
            for user in node.users
        )

    def _from_row(self, node: fx.Node, column: int, out: Tensor) -> None:
        out.copy_(self.above.at(node, column))

    def _step(self, pixel: Pixel, column: int, inputs: list[Tensor], out: Tensor) -> None:
        out.copy_(pixel(self.row, column, *inputs))

    def _done(self, done: Callable[..., None], column: int, inputs: list[Tensor]) -> None:
        done(self.row, column, *inputs)

    def _generic(self, node: fx.Node, values: dict[fx.Node, Any], out: Tensor) -> None:
        """Does what the node does with an image of one pixel."""
        out.copy_(self.graph.evaluate(node, values)[:, :, 0, 0])


def activation(kind: str, source: Tensor, out: Tensor) -> list[Operation]:
    """The operations of an activation, in place where its input lies where its result shall."""
    if source.data_ptr() == out.data_ptr():
        return [partial(INPLACE[kind], out)]
    if kind == "relu":
        return [partial(torch.clamp_min, source, 0, out=out)]
    return [partial(out.copy_, source), partial(INPLACE[kind], out)]
