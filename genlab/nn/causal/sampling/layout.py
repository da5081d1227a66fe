"""Memory layout of the cached engine: where each value lies at each column."""

from collections.abc import Callable

import torch
from torch import Tensor, fx

from genlab.nn.causal.layers import Domain
from genlab.nn.causal.masked import MaskedConv2d, VerticalConv2d
from genlab.nn.causal.sampling.graph import CausalGraph

__all__ = ["INPLACE", "Layout", "Window"]

INPLACE: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu_,
    "tanh": torch.tanh_,
    "sigmoid": torch.sigmoid_,
}
"""Activations that can be computed where their input lies."""


class Window:
    """The current row of a value, so laid out that the taps of a convolution are neighbours.

    Column c lies at ``(c + padding) % dilation, (c + padding) // dilation``.
    """

    def __init__(
        self, batch: int, channels: int, width: int, dilation: int, left: int, like: Tensor
    ):
        self.width, self.dilation, self.padding = width, dilation, left * dilation
        length = -(-(width + self.padding) // dilation)
        self.data = like.new_zeros(batch, dilation, length, channels)

    def slot(self, column: int) -> Tensor:
        """Place of the value at a column, ``(B, C)``."""
        place = column + self.padding
        return self.data[:, place % self.dilation, place // self.dilation]

    def taps(self, column: int, left: int, own: bool) -> Tensor:
        """The values at ``left`` columns to the left, and here, ``(B, taps C)``: a view."""
        place = column + self.padding
        end = place // self.dilation + own
        start = place // self.dilation - left
        return self.data[:, place % self.dilation, start:end].flatten(1)

    def row(self) -> Tensor:
        """The whole row, ``(B, W, C)``."""
        return self.data.transpose(1, 2).flatten(1, 2)[:, self.padding : self.padding + self.width]


class Layout:
    """The memory of each value at each column; ``docs/sampling.md`` lists what may be shared.

    Args:
        graph: The network.
        batch: Images.
        width: Columns.
        like: A tensor of the device and the dtype.
    """

    def __init__(self, graph: CausalGraph, batch: int, width: int, like: Tensor):
        self.graph, self.batch, self.width, self.like = graph, batch, width, like
        self.windows: dict[fx.Node, dict[int, Window]] = {}
        """By the value and the dilation of the convolutions that read it."""
        self.homes: dict[fx.Node, list[Tensor]] = {}
        left: dict[tuple[fx.Node, int], int] = {}
        for node in graph.graph.nodes:
            module = graph.module(node) if node.op == "call_module" else None
            if isinstance(module, MaskedConv2d):
                key, reach = (graph.inputs(node)[0], module.dilation), module.left
            elif isinstance(module, VerticalConv2d) and not self.early(graph.inputs(node)[0]):
                key, reach = (graph.inputs(node)[0], 1), 0  # for the history alone
            else:
                continue
            left[key] = max(left.get(key, 0), reach)
        for (source, dilation), reach in left.items():
            window = Window(batch, graph.channels[source], width, dilation, reach, like)
            self.windows.setdefault(source, {})[dilation] = window

    def early(self, node: fx.Node) -> bool:
        """True if a value is known before the row is begun."""
        return self.graph.domain[node] <= Domain.ROW

    def home(self, node: fx.Node) -> list[Tensor]:
        """Places of a value at each column, ``(B, C)`` each."""
        if node not in self.homes:
            self.homes[node] = self._home(node)
        return self.homes[node]

    def row(self, node: fx.Node) -> Tensor:
        """The current row ``(B, W, C)`` of a value that a convolution reads."""
        return next(iter(self.windows[node].values())).row()

    def _home(self, node: fx.Node) -> list[Tensor]:
        kinds = self.graph.kind
        if node in self.windows:  # where a convolution will read it
            first = next(iter(self.windows[node].values()))
            return [first.slot(column) for column in range(self.width)]
        if not self.early(node):
            if kinds[node] == "getitem":
                return self.part(node)
            readers = list(node.users)
            if len(readers) == 1 and kinds[readers[0]] in INPLACE:
                return self.home(readers[0])  # what is computed of it will take its place
            if kinds[node] in INPLACE and self._is_sole_reader(self.graph.inputs(node)[0]):
                return self.home(self.graph.inputs(node)[0])
        buffer = self.like.new_empty(self.batch, self.graph.channels[node])
        return [buffer] * self.width

    def _is_sole_reader(self, part: fx.Node) -> bool:
        """True if the one reader of a part of a value may overwrite it: nobody else reads it."""
        if self.graph.kind[part] != "getitem" or len(part.users) > 1:
            return False
        (chunk,) = self.graph.inputs(part)
        (whole,) = self.graph.inputs(chunk)
        indices = [user.args[1] for user in chunk.users]
        return len(whole.users) == 1 and len(set(indices)) == len(indices)

    def part(self, node: fx.Node) -> list[Tensor]:
        """The part of a chunk at each column, as a view of the whole."""
        chunk, index = node.args
        assert isinstance(chunk, fx.Node)
        assert isinstance(index, int)
        (whole,) = self.graph.inputs(chunk)
        channels = torch.arange(self.graph.channels[whole]).view(1, -1, 1, 1)
        part = self.graph.evaluate(chunk, {whole: channels})[index].flatten()
        start, stop = int(part[0]), int(part[-1]) + 1
        return [value[:, start:stop] for value in self.home(whole)]
