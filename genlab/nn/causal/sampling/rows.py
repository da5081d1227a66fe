"""Row-wise part of the cached engine: what the rows above say, computed before a row is begun."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx

from genlab.nn.causal.layers import CausalLayer, Domain
from genlab.nn.causal.masked import MaskedConv2d, VerticalConv2d
from genlab.nn.causal.sampling.graph import CausalGraph

__all__ = ["RowsAbove"]


class RowsAbove:
    """What is known of a row before its first pixel is drawn, computed for the whole row at once.

    That is every value that depends on the rows above alone; of a sum that depends on this row,
    too, the summands that do not; and, for the convolutions of the rows to come, the last rows.

    Args:
        graph: The network.
        batch: Images.
        width: Columns.
        like: A tensor of the device and the dtype.
        context: Context of the images, ``(B, K, 1, 1)``, or None.
    """

    def __init__(
        self, graph: CausalGraph, batch: int, width: int, like: Tensor, context: Tensor | None
    ):
        self.graph, self.batch, self.width, self.like = graph, batch, width, like
        self.sums: dict[fx.Node, Tensor] = {}
        """The part of a sum that is known before the row is begun, ``(B, W, C)``."""
        self.values: dict[fx.Node, Any] = {}
        """Values of the row that are known before it is begun, ``(B or 1, C, 1, W or 1)``."""
        self.history: dict[fx.Node, Tensor] = {}
        """Earlier rows of what convolutions read, ``(B, rows, W and margins, C)``."""
        self.margin: dict[fx.Node, int] = {}
        self.kernels: dict[fx.Node, Tensor] = {}
        rows: dict[fx.Node, int] = {}
        for node in graph.graph.nodes:
            # What convolutions read: how far up and to the left, and with which weights.
            module = graph.module(node) if node.op == "call_module" else None
            if isinstance(module, MaskedConv2d | VerticalConv2d):
                (source,) = graph.inputs(node)
                rows[source] = max(rows.get(source, 0), module.rows * module.dilation)
                margin = max(self.margin.get(source, 0), module.left * module.dilation)
                self.margin[source] = margin
                kernel = module.above if isinstance(module, MaskedConv2d) else module.weight
                if kernel is not None:
                    self.kernels[node] = kernel.permute(2, 3, 1, 0).flatten(0, 2).contiguous()
            # What is the same in all rows is computed here, once.
            if node.op != "output" and graph.domain[node] == Domain.CONSTANT:
                given = node is graph.context
                self.values[node] = context if given else graph.evaluate(node, self.values)
        # Memory of earlier rows: the zeros that stay are those that pad the image.
        for source, count in rows.items():
            if count:
                shape = (batch, count, width + 2 * self.margin[source], graph.channels[source])
                self.history[source] = like.new_zeros(shape)

    def known_part(self, node: fx.Node) -> Tensor:
        """The buffer ``(B, W, C)`` into which `begin` will write what is known of a sum."""
        shape = (self.batch, self.width, self.graph.channels[node])
        return self.sums.setdefault(node, self.like.new_empty(shape))

    def begin(self, row: int) -> None:
        """Computes all that the rows above say of a row."""
        graph = self.graph
        for node in graph.graph.nodes:
            if graph.domain[node] != Domain.ROW or node.op == "output":
                continue
            if graph.kind[node] == "vertical":
                self.values[node] = self._vertical(node)
            elif graph.kind[node] == "layer":
                module = graph.module(node)
                assert isinstance(module, CausalLayer)
                self.values[node] = module.at_row(row, self.batch, self.width)
            else:
                self.values[node] = graph.evaluate(node, self.values)
        for node, buffer in self.sums.items():
            self._sum(buffer, node)

    def end(self, row: Callable[[fx.Node], Tensor]) -> None:
        """Remembers the row that is done, of which ``row`` gives the values ``(B, W, C)``."""
        for node, past in self.history.items():
            early = self.graph.domain[node] <= Domain.ROW
            past = torch.roll(past, -1, 1) if past.shape[1] > 1 else past
            margin = self.margin[node]
            # The oldest row has come to the end, and gives way to the newest.
            past[:, -1, margin : margin + self.width] = self._now(node) if early else row(node)
            self.history[node] = past

    def fill(self, found: dict[fx.Node, Any], rows: int) -> None:
        """Takes over rows that are done, with all their values ``(B or 1, C, rows, W)``."""
        for node, past in self.history.items():
            value = found[node].expand(self.batch, -1, rows, self.width)
            value = value[:, :, -past.shape[1] :].permute(0, 2, 3, 1)
            margin = self.margin[node]
            past[:, past.shape[1] - value.shape[1] :, margin : margin + self.width] = value

    def at(self, node: fx.Node, column: int) -> Tensor:
        """A value at a column, ``(B or 1, C)``."""
        value: Tensor = self.values[node]
        return value[:, :, 0, column if value.shape[-1] > 1 else 0]

    def _now(self, node: fx.Node) -> Tensor:
        """A value of the row, ``(B, W, C)``."""
        value: Tensor = self.values[node].expand(self.batch, -1, 1, self.width)
        return value[:, :, 0].transpose(1, 2)

    def _sum(self, out: Tensor, node: fx.Node) -> None:
        terms, matrix = self.graph.sums[node], out.flatten(0, 1)
        start = self.graph.bias(node, self.like)
        for part in terms.linear:
            if part in self.kernels:
                torch.addmm(start, self._taps(part), self.kernels[part], out=matrix)
                start = matrix
        if start is not matrix:
            matrix.copy_(start)
        for part in terms.rows:
            out.add_(self.values[part][:, :, 0].transpose(1, 2))

    def _taps(self, node: fx.Node) -> Tensor:
        """Taps of a convolution above each pixel of the row, ``(B W, taps C)``."""
        module, (source,) = self.graph.module(node), self.graph.inputs(node)
        assert isinstance(module, MaskedConv2d | VerticalConv2d)
        d, left, margin = module.dilation, module.left, self.margin[source]
        right = module.right if isinstance(module, MaskedConv2d) else left
        rows: list[Tensor] = []
        if module.rows:
            rows += self.history[source][:, -module.rows * d :: d].unbind(1)
        if isinstance(module, VerticalConv2d) and not module.strict:
            rows.append(F.pad(self._now(source), (0, 0, margin, margin)))
        first = margin - left * d
        parts = [
            row[:, first + tap * d : first + tap * d + self.width]
            for row in rows
            for tap in range(left + 1 + right)
        ]
        return torch.cat(parts, 2).flatten(0, 1)

    def _vertical(self, node: fx.Node) -> Tensor:
        bias = self.graph.module(node).bias
        taps, kernel = self._taps(node), self.kernels[node]
        y = taps @ kernel + bias if isinstance(bias, Tensor) else taps @ kernel
        return y.unflatten(0, (self.batch, self.width)).transpose(1, 2).unsqueeze(2)
