"""Networks of masked convolutions alone, computed on a slanted line of pixels at once.

A layer that reaches ``right`` pixels to the right in the rows above can be computed at a pixel as
soon as the row above is so many pixels ahead. So a row need not wait for the end of the one above:
while it is at column c, the next can be at ``c - lag``, with ``lag`` one more than the farthest
reach of any single layer, for values of earlier layers are as old as the pixels they belong to.
All rows that are on their way make one batch. An image of 28x28 pixels whose layers reach 3 pixels
takes 136 steps in place of 784, and a step's operations are large enough to be worth their start.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from genlab.nn.cached_graph import traced
from genlab.nn.causal import CausalLayer, Domain, Pointwise, Position
from genlab.nn.masked import MaskedConv2d

__all__ = ["Wavefront"]


class Map:
    """A value at all pixels, with an edge of zeros, and slanted views of it.

    Columns are outermost and run from right to left, ``(W, H, B, C)``: all images of a pixel lie
    together, and both along a line and from tap to tap addresses grow.
    """

    def __init__(self, batch: int, channels: int, height: int, width: int, like: Tensor):
        self.shape = (width, height, batch, channels)
        self.top = self.left = self.right = 0
        self.like = like
        self.data = like

    def widen(self, top: int, left: int, right: int) -> None:
        """Makes room for a kernel that reaches so far."""
        self.top, self.left = max(self.top, top), max(self.left, left)
        self.right = max(self.right, right)

    def allocate(self) -> None:
        """Zeros everywhere."""
        width, height, batch, channels = self.shape
        side = self.left + width + self.right
        self.data = self.like.new_zeros(side, self.top + height, batch, channels)

    def views(
        self, batch: int, lag: int, *, up: int = 0, right: int = 0, taps: int = 1, gap: int = 1
    ) -> Callable[[int, int, int], Tensor]:
        """What gives values on the line of pixels ``(row + i, column - i lag)``.

        Args:
            batch: Images.
            lag: How many columns a row is behind the one above.
            up: How many rows above each pixel.
            right: How many columns to the right of it the first value is.
            taps: Values side by side, from right to left.
            gap: Columns from one to the next.

        Returns:
            A function of row, column and the number of pixels, whose result ``(pixels, B, taps,
            C)`` is of the map's memory.
        """
        data, channels = self.data, self.shape[3]
        across, down, image, _ = data.stride()
        strides = (down + lag * across, image, gap * across, 1)
        base = (self.top - up) * down + (self.right + self.shape[0] - 1 - right) * across

        def at(row: int, column: int, count: int) -> Tensor:
            start = base + row * down - column * across
            return data.as_strided((count, batch, taps, channels), strides, start)

        return at

    def fill(self, value: Tensor) -> None:
        """Takes over the upper rows, ``(B, C, rows, W)``."""
        rows, width = value.shape[2:]
        here = self.data[self.right : self.right + width, self.top : self.top + rows]
        here.copy_(value.flip(3).permute(3, 2, 0, 1))


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
        self.maps: dict[fx.Node, Map] = {}
        self.early: dict[fx.Node, Tensor] = {}
        self.place = (0, 0, 0)
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
        for kept in self.maps.values():
            kept.allocate()
        for node, value in self.early.items():
            if node in self.maps:
                self.maps[node].fill(value.expand(self.batch, -1, self.height, self.width))
        if rows:
            found = graph.run(image[:, :, :rows], context)
            for node, kept in self.maps.items():
                kept.fill(found[node].expand(self.batch, -1, rows, self.width))
        self.plan: list[Callable[[], None]] = []
        self.after: list[Callable[[], None]] = []
        for node in graph.graph.nodes:
            if node not in self.early and node.op not in ("placeholder", "output"):
                late = graph.domain[node] == Domain.IMAGE
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

    def pixels(self, time: int) -> Tensor:
        """The network's output ``(rows, B, P)`` on a line."""
        rows = self.rows_at(time)
        self.place = (rows.start, time - self.lag * rows.start, len(rows))
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
            shape = (self.batch, self.graph.channels[source], self.height, self.width)
            self.maps[source] = Map(*shape, like=image[:0])
        d = module.dilation
        self.maps[source].widen(module.rows * d, module.left * d, module.right * d)

    def _operation(self, node: fx.Node) -> Callable[[], None]:
        """What computes a node on the line, and remembers it where a convolution will read it."""
        graph, values, inputs = self.graph, self.values, self.graph.inputs(node)
        late = all(n not in self.early for n in inputs)
        kind = graph.kind[node]
        compute: Callable[[], Any]
        if kind == "relu" and all(graph.kind[user] == "masked" for user in node.users):
            return self._relu_kept(node)
        if kind == "masked":
            compute = self._masked(node)
        elif kind == "pointwise":
            compute = self._pointwise(node)
        elif kind == "relu" and len(inputs[0].users) == 1:
            compute = lambda: values[inputs[0]].relu_()  # noqa: E731
        elif kind == "relu":
            compute = lambda: values[inputs[0]].relu()  # noqa: E731
        elif kind == "add" and late and len(inputs) == 2:
            compute = lambda: values[inputs[0]] + values[inputs[1]]  # noqa: E731
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
        here, values, batch = self.maps[node].views(self.batch, self.lag), self.values, self.batch
        (source,) = self.graph.inputs(node)

        def operation() -> None:
            row, column, count = self.place
            value = values[source].view(count, batch, 1, -1)
            torch.clamp_min(value, 0, out=here(row, column, count))

        return operation

    def _keeping(self, node: fx.Node) -> Callable[[], None]:
        """What remembers a value on the line."""
        here, values, batch = self.maps[node].views(self.batch, self.lag), self.values, self.batch

        def keep() -> None:
            row, column, count = self.place
            here(row, column, count).copy_(values[node].view(count, batch, 1, -1))

        return keep

    def _pointwise(self, node: fx.Node) -> Callable[[], Tensor]:
        module, (source,), values = self.graph.module(node), self.graph.inputs(node), self.values
        assert isinstance(module, Pointwise)
        weight, bias = module.matrix(), module.bias
        return lambda: F.linear(values[source], weight, bias)

    def _masked(self, node: fx.Node) -> Callable[[], Tensor]:
        module, (source,) = self.graph.module(node), self.graph.inputs(node)
        assert isinstance(module, MaskedConv2d)
        weight, bias = module.own_row()[:, :, 0].flip(2).transpose(1, 2).flatten(1), module.bias
        if module.above is not None:
            above = module.above.flip(3).permute(0, 2, 3, 1).flatten(1)
            weight = torch.cat([above, weight], 1)
        d, batch = module.dilation, self.batch
        across = module.left + 1 + module.right
        reads = [(up, module.right, across) for up in range(module.rows, 0, -1)]
        reads.append((0, int(module.centre) - 1, module.left + module.centre))
        parts = [
            self.maps[source].views(batch, self.lag, up=up * d, right=right * d, taps=taps, gap=d)
            for up, right, taps in reads
        ]

        def convolve() -> Tensor:
            row, column, count = self.place
            taps = torch.cat([part(row, column, count) for part in parts], 2)
            return F.linear(taps.view(count * batch, -1), weight, bias)

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
        value, (row, column, count) = self.early[node], self.place
        if value.shape[-1] == 1:
            return value.flatten(1).expand(count, self.batch, -1).flatten(0, 1)
        rows = torch.arange(row, row + count, device=value.device)
        columns = column - self.lag * (rows - row)
        return value[:, :, rows, columns].permute(2, 0, 1).flatten(0, 1)


def in_space(value: Any) -> Any:
    """``(N, C)`` as maps of one pixel; several values, each of them."""
    if isinstance(value, tuple):
        return tuple(map(in_space, value))
    return value[:, :, None, None]


def flat(value: Tensor) -> Tensor:
    """Maps of one pixel as ``(N, C)``."""
    return value.flatten(1)
