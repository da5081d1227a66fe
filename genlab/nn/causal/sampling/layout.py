"""Where each value of a causal network lies while it is computed pixel by pixel."""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from genlab.nn.causal.layers import CausalLayer, Domain, State
from genlab.nn.causal.masked import MaskedConv2d, VerticalConv2d
from genlab.nn.causal.sampling.graph import traced

__all__ = ["INPLACE", "Layout", "Window"]

INPLACE: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu_,
    "tanh": torch.tanh_,
    "sigmoid": torch.sigmoid_,
    "silu": partial(F.silu, inplace=True),
}


class Window:
    """The current row of a value, so laid out that the taps of a convolution are neighbours.

    Column c lies at ``(c + padding) % dilation, (c + padding) // dilation``.
    """

    def __init__(
        self, batch: int, channels: int, width: int, dilation: int, left: int, zero: Tensor
    ):
        self.width, self.dilation, self.padding = width, dilation, left * dilation
        length = -(-(width + self.padding) // dilation)
        self.data = zero.new_zeros(batch, dilation, length, channels)

    def slot(self, column: int) -> Tensor:
        """Where the value at a column lies, ``(B, C)``."""
        place = column + self.padding
        return self.data[:, place % self.dilation, place // self.dilation]

    def taps(self, column: int, left: int, own: bool) -> Tensor:
        """The value at so many columns to the left, and here, ``(B, taps * C)``."""
        place = column + self.padding
        end = place // self.dilation + own
        start = place // self.dilation - left
        return self.data[:, place % self.dilation, start:end].flatten(1)

    def row(self) -> Tensor:
        """The whole row, ``(B, W, C)``."""
        return self.data.transpose(1, 2).flatten(1, 2)[:, self.padding : self.padding + self.width]


class Layout:
    """The buffers of a network: windows of current rows, histories of earlier ones, states.

    A value that a convolution reads lies in that convolution's window from the start; one that an
    activation replaces lies where the activation's result shall be; parts of a value are views.

    Args:
        network: A network of the layers of `genlab.nn.causal.layers`.
        image: An image ``(B, C, H, W)``, of the size of those that will come.
        context: Context of the images, ``(B, K, 1, 1)``, or None.
    """

    def __init__(self, network: nn.Module, image: Tensor, context: Tensor | None):
        self.batch, _, self.height, self.width = image.shape
        self.like = image[:0]
        probe = None if context is None else context[:1]
        self.graph = traced(network, image[:1, :, :1, :1], probe)
        self.history: dict[fx.Node, Tensor] = {}
        self.windows: dict[fx.Node, dict[int, Window]] = {}
        self.states: dict[fx.Node, State] = {}
        self.buffers: dict[fx.Node, list[Tensor]] = {}
        self.with_ones: dict[fx.Node, list[Tensor]] = {}
        self._lay_out()

    def _lay_out(self) -> None:
        """Decides where each value lies."""
        graph = self.graph
        span: dict[fx.Node, int] = {}
        self.edge: dict[fx.Node, int] = {}
        self.kernels: dict[fx.Node, Tensor] = {}
        self.left: dict[tuple[fx.Node, int], int] = {}
        for node in graph.graph.nodes:
            module = graph.module(node) if node.op == "call_module" else None
            if isinstance(module, MaskedConv2d | VerticalConv2d):
                (source,) = graph.inputs(node)
                if module.rows:
                    span[source] = max(span.get(source, 0), module.rows * module.dilation)
                reach = module.left * module.dilation
                self.edge[source] = max(self.edge.get(source, 0), reach)
                kernel = module.above if isinstance(module, MaskedConv2d) else module.weight
                if kernel is not None:
                    self.kernels[node] = kernel.permute(2, 3, 1, 0).flatten(0, 2).contiguous()
                if graph.domain[source] > Domain.ROW:
                    masked = isinstance(module, MaskedConv2d)
                    key = (source, module.dilation if masked else 1)
                    self.left[key] = max(self.left.get(key, 0), module.left if masked else 0)
                elif isinstance(module, MaskedConv2d):
                    key = (source, module.dilation)
                    self.left[key] = max(self.left.get(key, 0), module.left)
            elif isinstance(module, CausalLayer) and graph.domain[node] > Domain.ROW:
                state = module.start(self.batch, self.height, self.width, self.like)
                self.states[node] = state
        for (source, dilation), left in self.left.items():
            window = Window(
                self.batch, graph.channels[source], self.width, dilation, left, self.like
            )
            self.windows.setdefault(source, {})[dilation] = window
        for source, rows in span.items():
            shape = (self.batch, rows, self.width + 2 * self.edge[source], graph.channels[source])
            self.history[source] = self.like.new_zeros(shape)
        self.needs_ones = {
            x
            for terms in graph.sums.values()
            if terms.values and terms.linear and not terms.rows
            for node in terms.linear[:1]
            for x in graph.inputs(node)
            if graph.kind[node] == "pointwise" and x not in self.windows
        }

    def _home(self, node: fx.Node) -> list[Tensor]:
        """Where a value lies at each column, ``(B, C)`` each."""
        if node in self.buffers:
            return self.buffers[node]
        graph = self.graph
        (only,) = node.users if len(node.users) == 1 else (None,)
        early = graph.domain[node] <= Domain.ROW
        if node in self.windows:
            first = next(iter(self.windows[node].values()))
            home = [first.slot(column) for column in range(self.width)]
        elif graph.kind[node] == "getitem" and not early:
            source, index = node.args
            assert isinstance(source, fx.Node)
            assert isinstance(index, int)
            start = sum(self._sizes(source)[:index])
            stop = start + self._sizes(source)[index]
            home = [x[:, start:stop] for x in self._home(graph.inputs(source)[0])]
        elif only is not None and graph.kind[only] in INPLACE and not early:
            home = self._home(only)
        elif self._overwrites(node) and node not in self.needs_ones:
            home = self._home(graph.inputs(node)[0])
        else:
            full = self.like.new_ones(self.batch, graph.channels[node] + (node in self.needs_ones))
            home = [full[:, : graph.channels[node]]] * self.width
            if node in self.needs_ones:
                self.with_ones[node] = [full] * self.width
        self.buffers[node] = home
        return home

    def _overwrites(self, node: fx.Node) -> bool:
        """Whether a value may take the place of the part of a value that it is made of."""
        if self.graph.kind[node] not in INPLACE:
            return False
        (source,) = self.graph.inputs(node)
        late = self.graph.domain[node] > Domain.ROW
        return late and self.graph.kind[source] == "getitem" and len(source.users) == 1

    def _sizes(self, node: fx.Node) -> list[int]:
        """Sizes of the parts of a chunk."""
        (source,) = self.graph.inputs(node)
        probe = torch.empty(1, self.graph.channels[source], 1, 1)
        return [part.shape[1] for part in self.graph.evaluate(node, {source: probe})]
