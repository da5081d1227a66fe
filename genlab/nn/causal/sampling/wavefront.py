"""Networks of masked convolutions alone, computed on a slanted line of pixels at once.

A layer that reaches ``right`` pixels to the right in the rows above can be computed at a pixel as
soon as the row above is so many pixels ahead. So a row need not wait for the end of the one above:
while it is at column c, the next can be at ``c - lag``, with ``lag`` one more than the farthest
reach of any single layer, for values of earlier layers are as old as the pixels they belong to.
All rows that are on their way make one batch. An image of 28x28 pixels whose layers reach 3 pixels
takes 136 steps in place of 784, and a step's operations are large enough to be worth their start.

A step is many small operations, so it matters how many. Convolutions read their inputs where they
lie (`genlab.nn.causal.sampling.skewed`); sums are accumulated by the matrix product that makes
the last term; and
biases are put off (`Wavefront.bias`): what is stored of a value lacks a constant vector, which the
next matrix product adds to its own, for ``relu(x + b) = max(x, -b) + b``.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, fx, nn

from genlab.nn.causal.layers import CausalLayer, Domain, Pointwise, Position
from genlab.nn.causal.masked import MaskedConv2d
from genlab.nn.causal.sampling.graph import traced
from genlab.nn.causal.sampling.skewed import SkewedMap

__all__ = ["Wavefront"]


class Wavefront:
    """A causal network's parameters of the pixels on one slanted line after the other.

    Use: for each ``time`` of `times`, `pixels` and then `put`; `rows_at` says which pixels.

    Args:
        network: A network that `suits`, in evaluation mode; called with an image and a context.
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
        self.batch, _, self.height, self.width = image.shape
        self.done = rows
        probe = None if context is None else context[:1]
        self.graph = graph = traced(network, image[:1, :, :1, :1], probe)
        layers = [m for m in network.modules() if isinstance(m, MaskedConv2d)]
        self.lag = 1 + max((layer.right for layer in layers if layer.rows), default=0)
        self.values: dict[fx.Node, Any] = {}
        self.bias: dict[fx.Node, Tensor | None] = {}
        """What is to be added to the stored value of a node, ``(C,)``."""
        self.maps: dict[fx.Node, SkewedMap] = {}
        self.early: dict[fx.Node, Tensor] = {}
        self.place = (0, 0, 0)
        """The time, and the first row of its line and their number."""
        for node in graph.graph.nodes:
            if node.op == "placeholder" and context is not None and node is not graph.image:
                self.early[node] = context
            elif graph.domain[node] <= Domain.ROW and node.op not in ("placeholder", "output"):
                if graph.kind[node] == "layer":  # a vector of the place: needs the size alone
                    self.early[node] = graph.module(node)(image)
                else:
                    self.early[node] = graph.evaluate(node, self.early)
            elif graph.kind[node] == "masked":
                self._make_room(node, image)
        found = graph.run(image[:, :, :rows], context) if rows else {}
        for node, kept in self.maps.items():
            if node in self.early:
                kept.know(self.early[node].expand(self.batch, -1, self.height, self.width), 0)
            elif rows:
                above = min(rows, kept.top)  # as far as kernels reach
                value = found[node].expand(self.batch, -1, rows, self.width)
                kept.know(value[:, :, rows - above :], rows - above)
            kept.begin(self.lag * rows)
        self.plan: list[Callable[[], None]] = []
        self.after: list[Callable[[], None]] = []
        fused = {term for node in graph.graph.nodes if (term := self._term(node)) is not None}
        for node in graph.graph.nodes:
            if node not in self.early and node.op not in ("placeholder", "output"):
                late = graph.domain[node] == Domain.IMAGE
                if node not in fused:
                    (self.after if late else self.plan).append(self._operation(node))
        if graph.image in self.maps:
            self.after.insert(0, self._keeping(graph.image))

    @staticmethod
    def suits(network: nn.Module, width: int) -> bool:
        """Whether the network is made of layers that this knows, and two rows fit on a line."""
        layers = [m for m in network.modules() if isinstance(m, CausalLayer)]
        masked = [m for m in layers if isinstance(m, MaskedConv2d)]
        known = len(masked) > 0 and all(isinstance(m, MaskedConv2d | Position) for m in layers)
        return known and max((m.right for m in masked if m.rows), default=0) + 1 < width

    @property
    def times(self) -> range:
        """The lines, one after the other."""
        return range(self.lag * self.done, self.lag * (self.height - 1) + self.width)

    def rows_at(self, time: int) -> range:
        """The rows that the line crosses; row r at column ``time - lag r``."""
        first = max(self.done, -((self.width - 1 - time) // self.lag))
        return range(first, min(self.height - 1, time // self.lag) + 1)

    @property
    def order(self) -> Tensor:
        """All pixels of the lines, one line after the other, by their numbers in raster order."""
        return torch.tensor(
            [
                row * self.width + time - self.lag * row
                for time in self.times
                for row in self.rows_at(time)
            ]
        )

    def pixels(self, time: int) -> Tensor:
        """The network's output ``(rows, B, P)`` on a line."""
        rows = self.rows_at(time)
        self.place = (time, rows.start, len(rows))
        for kept in self.maps.values():
            kept.advance(time)
        for operation in self.plan:
            operation()
        result: Tensor = self.values[self.graph.result]
        return result.view(len(rows), self.batch, -1)

    def put(self, value: Tensor) -> None:
        """Makes the pixels ``(rows, B, C)`` of the line known, as floats."""
        self.values[self.graph.image] = value.flatten(0, 1)
        for operation in self.after:
            operation()

    # ------------------------------------------------------------------------------------------
    # The operations of a step; values are ``(rows * B, C)``

    def _make_room(self, node: fx.Node, image: Tensor) -> None:
        """Has the source of a convolution remembered, as far as its kernel reaches."""
        module, (source,) = self.graph.module(node), self.graph.inputs(node)
        assert isinstance(module, MaskedConv2d)
        if source not in self.maps:
            channels = self.graph.channels[source]
            self.maps[source] = SkewedMap(
                self.batch, channels, self.height, self.width, self.lag, like=image[:0]
            )
        reach = module.left + self.lag * module.rows
        self.maps[source].widen(module.rows * module.dilation, reach * module.dilation)

    def _late(self, node: fx.Node) -> bool:
        return node not in self.early

    def _sums(self, node: fx.Node) -> bool:
        """Whether a node is a sum of two values of the line."""
        inputs = self.graph.inputs(node)
        return self.graph.kind[node] == "add" and len(inputs) == 2 and all(map(self._late, inputs))

    def _term(self, node: fx.Node) -> fx.Node | None:
        """Of a sum, the term that is computed with it: a matrix product nobody else reads."""
        if self._sums(node):
            for term in reversed(self.graph.inputs(node)):
                alone = len(term.users) == 1 and term not in self.maps
                if self.graph.kind[term] == "pointwise" and alone:
                    return term
        return None

    def _may_change(self, node: fx.Node, reader: fx.Node) -> bool:
        """Whether a reader may write its result in place of a value: nobody reads that later, and
        it is no view of another value, nor is another one a view of it."""
        kinds = self.graph.kind
        return kinds[node] in ("masked", "pointwise", "add") and all(
            user is reader or (user in self.bias and kinds[user] in ("masked", "pointwise", "relu"))
            for user in node.users
        )

    def _puts_off(self, node: fx.Node) -> bool:
        """Whether a bias of a node may be left to those that read it."""
        if node in self.maps or node is self.graph.result or not node.users:
            return False
        return all(
            self.graph.kind[user] == "pointwise"
            or self._sums(user)
            or (self.graph.kind[user] == "relu" and self._puts_off(user))
            for user in node.users
        )

    def _operation(self, node: fx.Node) -> Callable[[], None]:
        """What computes a node on the line, and remembers it where a convolution will read it."""
        graph, values = self.graph, self.values
        kind = graph.kind[node]
        self.bias[node] = None
        compute: Callable[[], Any]
        if kind == "relu" and all(graph.kind[user] == "masked" for user in node.users):
            return self._relu_kept(node)
        if kind == "masked":
            compute = self._masked(node)
        elif kind == "pointwise":
            compute = self._pointwise(node)
        elif kind == "relu":
            compute = self._relu(node)
        elif self._sums(node):
            compute = self._sum(node)
        else:
            compute = partial(self._generic, node)
        keep = self._keeping(node) if node in self.maps else None

        def operation() -> None:
            values[node] = compute()
            if keep is not None:
                keep()

        return operation

    def _relu_kept(self, node: fx.Node) -> Callable[[], None]:
        """A relu that only convolutions read: what `_keeping` would copy is written in place."""
        here, values, (source,) = self.maps[node].reading(0, 0, 1), self.values, node.args
        assert isinstance(source, fx.Node)

        def operation() -> None:
            torch.clamp_min(values[source], 0, out=here(*self.place))

        return operation

    def _keeping(self, node: fx.Node) -> Callable[[], None]:
        """What remembers a value on the line."""
        here, values = self.maps[node].reading(0, 0, 1), self.values

        def keep() -> None:
            here(*self.place).copy_(values[node])

        return keep

    def _relu(self, node: fx.Node) -> Callable[[], Tensor]:
        """A relu; in place, where nobody else reads what it is of."""
        values, (source,) = self.values, self.graph.inputs(node)
        alone = self._may_change(source, node)
        bias = self.bias[node] = self.bias.get(source)
        if bias is None:
            return lambda: values[source].relu_() if alone else values[source].relu()
        floor = -bias
        if alone:
            return lambda: torch.maximum(values[source], floor, out=values[source])
        return lambda: torch.maximum(values[source], floor)

    def _affine(self, node: fx.Node) -> tuple[fx.Node, Tensor, Tensor | None]:
        """A matrix product's source, its matrix ``(inputs, outputs)`` and all that it adds."""
        module, (source,) = self.graph.module(node), self.graph.inputs(node)
        assert isinstance(module, Pointwise)
        matrix, before = module.matrix(), self.bias.get(source)
        bias: Tensor | None = module.bias
        if before is not None:
            bias = matrix @ before if bias is None else bias + matrix @ before
        return source, matrix.t().contiguous(), bias

    def _pointwise(self, node: fx.Node) -> Callable[[], Tensor]:
        values, (source, matrix, bias) = self.values, self._affine(node)
        if bias is None:
            return lambda: torch.mm(values[source], matrix)
        if self._puts_off(node):
            self.bias[node] = bias
            return lambda: torch.mm(values[source], matrix)
        return lambda: torch.addmm(bias, values[source], matrix)

    def _sum(self, node: fx.Node) -> Callable[[], Tensor]:
        """A sum of two; into the first one's place, where nobody reads it any more."""
        values, graph, term = self.values, self.graph, self._term(node)
        first, second = graph.inputs(node)
        other = first if term is second else second
        if term is None:
            biases = [self.bias.get(first), self.bias.get(second)]
            compute = lambda: values[first] + values[second]  # noqa: E731
        else:
            source, matrix, bias = self._affine(term)
            biases = [self.bias.get(other), bias]
            if self._may_change(other, node):
                compute = lambda: values[other].addmm_(values[source], matrix)  # noqa: E731
            else:
                compute = lambda: torch.addmm(values[other], values[source], matrix)  # noqa: E731
        given = [bias for bias in biases if bias is not None]
        if not given:
            return compute
        total = sum(given[1:], given[0])
        if self._puts_off(node):
            self.bias[node] = total
            return compute
        return lambda: compute().add_(total)

    def _masked(self, node: fx.Node) -> Callable[[], Tensor]:
        """A convolution: a matrix product for each row of the kernel, or for each of its taps."""
        module, (source,) = self.graph.module(node), self.graph.inputs(node)
        assert isinstance(module, MaskedConv2d)
        kept, d = self.maps[source], module.dilation
        rows = [(0, module.own_row()[:, :, 0])]
        if module.above is not None:
            rows += [(up, module.above[:, :, module.rows - up]) for up in range(1, module.rows + 1)]
        products = []
        for up, weight in rows:  # (outputs, inputs, taps)
            group = weight.shape[2] if d == 1 else 1
            for tap in range(0, weight.shape[2], group):
                matrix = weight[:, :, tap : tap + group].permute(2, 1, 0).flatten(0, 1)
                past = self.lag * up * d + (module.left - tap) * d
                products.append((kept.reading(up * d, past, group), matrix.contiguous()))
        (read, matrix), *others = products
        bias: Tensor | None = module.bias
        if bias is not None and self._puts_off(node):
            self.bias[node], bias = bias, None

        def convolve() -> Tensor:
            place = self.place
            taps = read(*place)
            total = torch.mm(taps, matrix) if bias is None else torch.addmm(bias, taps, matrix)
            for at, weight in others:
                total.addmm_(at(*place), weight)
            return total

        return convolve

    def _generic(self, node: fx.Node) -> Any:
        """Does what the node does with an image of one pixel for each pixel."""
        values = {n: in_space(self._value(n)) for n in self.graph.inputs(node)}
        found = self.graph.evaluate(node, values)
        return tuple(map(flat, found)) if isinstance(found, tuple) else flat(found)

    def _value(self, node: fx.Node) -> Any:
        """A value on the line, ``(rows B, C)``, known early or not."""
        if node not in self.early:
            return self.values[node]
        value, (time, row, count) = self.early[node], self.place
        if value.shape[-1] == 1:
            return value.flatten(1).expand(count, self.batch, -1).flatten(0, 1)
        rows = torch.arange(row, row + count, device=value.device)
        columns = time - self.lag * rows
        return value[:, :, rows, columns].permute(2, 0, 1).flatten(0, 1)


def in_space(value: Any) -> Any:
    """``(N, C)`` as maps of one pixel; several values, each of them."""
    if isinstance(value, tuple):
        return tuple(map(in_space, value))
    return value[:, :, None, None]


def flat(value: Tensor) -> Tensor:
    """Maps of one pixel as ``(N, C)``."""
    return value.flatten(1)
