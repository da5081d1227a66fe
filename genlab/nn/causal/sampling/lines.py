"""Slanted lines of an image, and a network's values on the line at hand."""

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor, fx

from genlab.nn.causal.layers import Domain
from genlab.nn.causal.masked import MaskedConv2d
from genlab.nn.causal.sampling.graph import CausalGraph
from genlab.nn.causal.sampling.skewed import Line, SkewedMap

__all__ = ["Lines", "Reading"]

ROOM = 2
"""Rows that are remembered, as a multiple of those that a line crosses: few are read again."""

Reading = Callable[[], Tensor]
"""What gives a value on the line at hand, ``(rows B, C)``."""


class Lines:
    """The memory of a `genlab.nn.causal.sampling.wavefront.Wavefront`.

    Args:
        graph: The network.
        image: The image so far ``(B, C, H, W)``: rows that are done.
        context: Context of the images, ``(B, K, 1, 1)``, or None.
        rows: How many rows are done.
        lag: How many columns a row is behind the one above.

    Attributes:
        sites: The pixels of each line, by their numbers in raster order.
        early: Values of the context and the place alone, ``(B or 1, C, H or 1, W or 1)``.
        maps: Values that convolutions read, as far as their kernels reach.
        values: Values on the line at hand, ``(rows B, C)``.
    """

    def __init__(
        self, graph: CausalGraph, image: Tensor, context: Tensor | None, rows: int, lag: int
    ):
        self.graph, self.lag, self.like = graph, lag, image[:0]
        self.batch, _, self.height, self.width = image.shape
        # Of each line its time and the rows that it crosses: row r at column `time - lag r`.
        self.crossed: list[tuple[int, range]] = []
        for time in range(lag * rows, lag * (self.height - 1) + self.width):
            first = max(rows, -((self.width - 1 - time) // lag))
            self.crossed.append((time, range(first, min(self.height - 1, time // lag) + 1)))
        self.sites = [
            [row * self.width + time - lag * row for row in crossed]
            for time, crossed in self.crossed
        ]
        self.most = max(map(len, self.sites))
        # The line at hand, by its rows in the image, and by those in the maps, from `base` on.
        self.line, self.recent, self.base = Line(), Line(), rows
        self.room = min(ROOM * self.most, self.height - rows)
        # What is known before the first line.
        self.early = self._evaluate_early(image, context)
        self.maps = self._make_maps()
        self.values: dict[fx.Node, Any] = {}
        found = graph.run(image[:, :, :rows], context) if rows else {}
        for node, kept in self.maps.items():
            if node in self.early:
                kept.write(self.early[node].expand(-1, -1, self.height, -1))
            elif rows:
                known = min(rows, kept.above)
                kept.write(found[node][:, :, rows - known :], -known)

    def begin(self, number: int) -> None:
        """Comes to a line, and makes room for its rows."""
        time, rows = self.crossed[number]
        self.line.set(time, rows.start, len(rows))
        self.recent.set(time - self.lag * self.base, rows.start - self.base, len(rows))
        if rows.stop - self.base > self.room:
            for kept in self.maps.values():
                if kept.line is self.recent:
                    kept.move_up()
            self.base = rows.start
            self.recent.set(time - self.lag * self.base, 0, len(rows))

    def reading(self, node: fx.Node) -> Reading:
        """Reader of a value on the line, known early or not."""
        if node in self.early:
            return self.early_reading(self.early[node])
        return partial(self.values.__getitem__, node)

    def early_reading(self, value: Tensor) -> Reading:
        """Reader of an early value on the line, from a copy for each row or for each place."""
        if value.shape[2:] == (1, 1):
            line, batch = self.line, self.batch
            repeated = value.flatten(1).expand(batch, -1).repeat(self.most, 1)
            return lambda: repeated[: line.count * batch]
        kept = self._map(value.shape[1], early=True)
        kept.write(value.expand(-1, -1, self.height, -1))
        return kept.reading()

    def _evaluate_early(self, image: Tensor, context: Tensor | None) -> dict[fx.Node, Any]:
        early: dict[fx.Node, Any] = {}
        for node in self.graph.graph.nodes:
            if node.op == "output" or self.graph.domain[node] > Domain.ROW:
                continue
            if node.op == "placeholder":
                early[node] = context
            elif self.graph.kind[node] == "layer":  # a vector of the place: needs the size alone
                early[node] = self.graph.module(node)(image[:1])
            else:
                early[node] = self.graph.evaluate(node, early)
        return early

    def _make_maps(self) -> dict[fx.Node, SkewedMap]:
        # How far the kernels reach that read a value.
        reach: dict[fx.Node, tuple[int, int]] = {}
        for node in self.graph.graph.nodes:
            if self.graph.kind[node] == "masked":
                module, (source,) = self.graph.module(node), self.graph.inputs(node)
                assert isinstance(module, MaskedConv2d)
                above, margin = reach.get(source, (0, 0))
                d = module.dilation
                reach[source] = max(above, module.rows * d), max(margin, module.left * d)
        maps = {}
        for node, (above, margin) in reach.items():
            maps[node] = self._map(self.graph.channels[node], node in self.early, above, margin)
            if self.graph.domain[node] == Domain.IMAGE:  # read, times zero, before it is known
                maps[node].memory.zero_()
        return maps

    def _map(self, channels: int, early: bool, above: int = 0, margin: int = 0) -> SkewedMap:
        line, rows = (self.line, self.height) if early else (self.recent, self.room)
        size = (self.batch, channels, rows, self.width)
        return SkewedMap(size, line, self.lag, above, margin, self.like)
