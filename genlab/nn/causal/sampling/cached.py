"""Any causal network, computed pixel by pixel from what is remembered of earlier pixels.

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
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from genlab.nn.causal.layers import CausalLayer, Domain, Pointwise, State
from genlab.nn.causal.masked import MaskedConv2d, VerticalConv2d
from genlab.nn.causal.sampling.layout import INPLACE, Layout

__all__ = ["Cached", "PixelByPixel"]


class PixelByPixel(Protocol):
    """What sampling asks of a network: for each row `begin_row`, for each pixel its parameters."""

    def begin_row(self, row: int) -> None: ...

    def pixel(self, column: int) -> Tensor: ...

    def put(self, column: int, value: Tensor) -> None: ...

    def end_row(self) -> None: ...


class Cached(Layout):
    """A causal network's parameters of one pixel after the other.

    Use: for each row `begin_row`; for each column `pixel`, then `put` the pixel that was chosen.

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
        super().__init__(network, image, context)
        self.row_sums: list[tuple[Tensor, fx.Node]] = []
        self.values: dict[fx.Node, Any] = {}
        self.row = rows
        columns = range(self.width)
        self.plan: list[list[Callable[[], Any]]] = [[] for _ in columns]
        self.after: list[list[Callable[[], Any]]] = [[] for _ in columns]
        for node in self.graph.graph.nodes:
            self._emit(node)
        for node in self.graph.graph.nodes:
            if self.graph.domain[node] == Domain.CONSTANT and node.op != "output":
                given = node is self.graph.context
                self.values[node] = context if given else self.graph.evaluate(node, self.values)
        if rows:
            self._fill(self.graph.run(image[:, :, :rows], context))

    def begin_row(self, row: int) -> None:
        """Computes all that the rows above say of a row."""
        self.row = row
        graph, values = self.graph, self.values
        for state in self.states.values():
            state.row(row)
        for node in graph.graph.nodes:
            if graph.domain[node] != Domain.ROW or node.op in ("output", "placeholder"):
                continue
            if graph.kind[node] == "vertical":
                values[node] = self._vertical(node)
            elif graph.kind[node] == "layer":
                module = graph.module(node)
                assert isinstance(module, CausalLayer)
                values[node] = module.at_row(row, self.batch, self.width)
            else:
                values[node] = graph.evaluate(node, values)
        for buffer, node in self.row_sums:
            self._row_sum(buffer, node)

    def pixel(self, column: int) -> Tensor:
        """The network's output ``(B, P)`` at a column of the row; a buffer, overwritten later."""
        for operation in self.plan[column]:
            operation()
        return self.buffers[self.graph.result][column]

    def put(self, column: int, value: Tensor) -> None:
        """Makes the pixel ``(B, C)`` at a column known, as a float."""
        self.buffers[self.graph.image][column].copy_(value)
        for operation in self.after[column]:
            operation()

    def end_row(self) -> None:
        """Remembers the row that is done."""
        for node, past in self.history.items():
            if self.graph.domain[node] <= Domain.ROW:
                row = (
                    self.values[node].expand(self.batch, -1, 1, self.width)[:, :, 0].transpose(1, 2)
                )
            else:
                row = next(iter(self.windows[node].values())).row()
            past = torch.roll(past, -1, 1) if past.shape[1] > 1 else past
            past[:, -1, self.edge[node] : self.edge[node] + self.width] = row
            self.history[node] = past

    # ------------------------------------------------------------------------------------------
    # The operations of a pixel

    def _emit(self, node: fx.Node) -> None:
        """Adds what computes a node to the plan of each column."""
        graph = self.graph
        if graph.domain[node] <= Domain.ROW or node in graph.absorbed:
            if node in self.windows and node not in graph.absorbed:
                self._emit_row_copy(node)
            if node not in graph.absorbed and self._read_by_pixel(node):
                self._emit_row_value(node)
            return
        kind = graph.kind[node]
        if kind in ("output", "chunk"):
            return
        plan = self.after if graph.domain[node] == Domain.IMAGE else self.plan
        home = self._home(node)
        if node in graph.sums:
            self._emit_sum(node, plan, home)
        elif kind == "layer":
            self._emit_layer(node, plan, home)
        elif kind in INPLACE:
            source = self._home(graph.inputs(node)[0])
            for column, out in enumerate(home):
                if source[column].data_ptr() == out.data_ptr():
                    plan[column].append(partial(INPLACE[kind], out))
                elif kind == "relu":
                    plan[column].append(partial(torch.clamp_min, source[column], 0, out=out))
                else:
                    plan[column].append(partial(out.copy_, source[column]))
                    plan[column].append(partial(INPLACE[kind], out))
        elif kind in ("mul", "cat") and self._plain(node):
            inputs = [self._home(n) for n in graph.inputs(node)]
            if kind == "mul" and len(inputs) == 1:
                inputs *= 2
            for column, out in enumerate(home):
                parts = [x[column] for x in inputs]
                operation = (
                    partial(torch.mul, *parts, out=out)
                    if kind == "mul"
                    else partial(torch.cat, parts, 1, out=out)
                )
                plan[column].append(operation)
        elif kind not in ("placeholder", "getitem"):
            inputs = [self._home(n) for n in graph.inputs(node)]
            for column, out in enumerate(home):
                views = [x[column][:, :, None, None] for x in inputs]
                values = dict(zip(graph.inputs(node), views, strict=True))
                plan[column].append(partial(self._generic, node, values, out))
        self._emit_copies(node, plan, home)

    def _plain(self, node: fx.Node) -> bool:
        """Whether all operands are values of pixels, each read once, and none a number."""
        operands = node.args[0] if self.graph.kind[node] == "cat" else node.args
        assert isinstance(operands, list | tuple)
        return all(isinstance(n, fx.Node) for n in operands) and (
            len(operands) == len(self.graph.inputs(node))
        )

    def _generic(self, node: fx.Node, values: dict[fx.Node, Any], out: Tensor) -> None:
        out.copy_(self.graph.evaluate(node, values)[:, :, 0, 0])

    def _emit_copies(
        self, node: fx.Node, plan: list[list[Callable[[], Any]]], home: list[Tensor]
    ) -> None:
        """Convolutions of other dilations have windows of their own."""
        for window in list(self.windows.get(node, {}).values())[1:]:
            target = self.after if node is self.graph.image else plan
            for column, value in enumerate(home):
                target[column].append(partial(window.slot(column).copy_, value))

    def _emit_layer(
        self, node: fx.Node, plan: list[list[Callable[[], Any]]], home: list[Tensor]
    ) -> None:
        state, inputs = self.states[node], [self._home(n) for n in self.graph.inputs(node)]
        known = max(self.graph.domain[n] for n in self.graph.inputs(node)) <= Domain.PIXEL
        for column, out in enumerate(home):
            parts = [x[column] for x in inputs]
            plan[column].append(partial(self._step, state, column, parts, out))
            (plan if known else self.after)[column].append(
                partial(self._done, state, column, parts)
            )

    def _step(self, state: State, column: int, inputs: list[Tensor], out: Tensor) -> None:
        out.copy_(state.pixel(self.row, column, *inputs))

    def _done(self, state: State, column: int, inputs: list[Tensor]) -> None:
        state.done(self.row, column, *inputs)

    def _emit_sum(
        self, node: fx.Node, plan: list[list[Callable[[], Any]]], home: list[Tensor]
    ) -> None:
        graph, terms = self.graph, self.graph.sums[node]
        factors = [self._factor(n) for n in terms.linear]
        values = [self._home(n) for n in terms.values]
        bias = self._bias(node)
        above = any(graph.kind[n] == "masked" and graph.module(n).rows for n in terms.linear)
        rows: Tensor | None = None
        if terms.rows or above:
            rows = self.like.new_zeros(self.batch, self.width, graph.channels[node])
            self.row_sums.append((rows, node))
            base = list(rows.unbind(1))
        elif values and factors and graph.inputs(terms.linear[0])[0] in self.with_ones:
            # The bias rides on a column of ones, so that the residual is the summand.
            taps, weight = factors[0]
            source = graph.inputs(terms.linear[0])[0]
            weight = torch.cat([weight, bias[None]])
            factors[0] = (self.with_ones[source], weight)
            base = values.pop(0)
        else:
            base = [bias] * self.width
        for column, out in enumerate(home):
            operations = plan[column]
            start = base[column]
            for taps, weight in factors:
                operations.append(partial(torch.addmm, start, taps[column], weight, out=out))
                start = out
            for value in values:
                operations.append(partial(torch.add, start, value[column], out=out))
                start = out
            if start is not out:
                operations.append(partial(out.copy_, start))

    def _factor(self, node: fx.Node) -> tuple[list[Tensor], Tensor]:
        """What a linear layer multiplies at each column, ``(B, K)``, and with what, ``(K, C')``."""
        module, (source,) = self.graph.module(node), self.graph.inputs(node)
        if isinstance(module, Pointwise):
            return self._home(source), module.matrix().T.contiguous()
        assert isinstance(module, MaskedConv2d)
        window = self.windows[source][module.dilation]
        taps = [window.taps(c, module.left, module.centre) for c in range(self.width)]
        weight = module.own_row()[:, :, 0]
        return taps, weight.permute(2, 1, 0).flatten(0, 1).contiguous()

    def _bias(self, node: fx.Node) -> Tensor:
        total = self.like.new_zeros(self.graph.channels[node])
        for part in self.graph.sums[node].linear:
            bias = self.graph.module(part).bias
            if isinstance(bias, Tensor):
                total = total + bias
        return total

    # ------------------------------------------------------------------------------------------
    # The operations of a row

    def _row_sum(self, out: Tensor, node: fx.Node) -> None:
        """Writes the part of a sum that is known before the row begins, ``(B, W, C)``."""
        matrix, start = out.flatten(0, 1), self._bias(node)
        for part in self.graph.sums[node].linear:
            if part in self.kernels:
                torch.addmm(start, self._rows_above(part), self.kernels[part], out=matrix)
                start = matrix
        if start is not matrix:
            matrix.copy_(start)
        for part in self.graph.sums[node].rows:
            out.add_(self.values[part][:, :, 0].transpose(1, 2))

    def _rows_above(self, node: fx.Node) -> Tensor:
        """What a convolution sees above each pixel of the row, ``(B W, taps * C)``."""
        module, (source,) = self.graph.module(node), self.graph.inputs(node)
        assert isinstance(module, MaskedConv2d | VerticalConv2d)
        d, left = module.dilation, module.left
        right = module.right if isinstance(module, MaskedConv2d) else left
        rows = []
        if module.rows:
            rows = list(self.history[source][:, -module.rows * d :: d].unbind(1))
        if isinstance(module, VerticalConv2d) and not module.strict:
            now = self.values[source].expand(self.batch, -1, 1, self.width)
            edge = self.edge[source]
            rows.append(F.pad(now[:, :, 0].transpose(1, 2), (0, 0, edge, edge)))
        first = self.edge[source] - left * d
        parts = [
            row[:, first + tap * d : first + tap * d + self.width]
            for row in rows
            for tap in range(left + 1 + right)
        ]
        return torch.cat(parts, 2).flatten(0, 1)

    def _vertical(self, node: fx.Node) -> Tensor:
        module = self.graph.module(node)
        y = self._rows_above(node) @ self.kernels[node]
        if isinstance(module.bias, Tensor):
            y = y + module.bias
        return y.unflatten(0, (self.batch, self.width)).transpose(1, 2).unsqueeze(2)

    def _read_by_pixel(self, node: fx.Node) -> bool:
        """Whether an operation other than a sum reads a row's value at a pixel."""
        if self.graph.kind[node] in ("chunk", "output") or node in self.windows:
            return False
        return any(
            (
                self.graph.domain[user] > Domain.ROW
                and user not in self.graph.sums
                and user not in self.graph.absorbed
            )
            or user.op == "output"
            for user in node.users
        )

    def _emit_row_copy(self, node: fx.Node) -> None:
        for column, out in enumerate(self._home(node)):
            self.plan[column].append(partial(self._from_row, node, column, out))
        self._emit_copies(node, self.plan, self._home(node))

    def _emit_row_value(self, node: fx.Node) -> None:
        for column, out in enumerate(self._home(node)):
            self.plan[column].append(partial(self._from_row, node, column, out))

    def _from_row(self, node: fx.Node, column: int, out: Tensor) -> None:
        value = self.values[node]
        out.copy_(value[:, :, 0, column if value.shape[-1] > 1 else 0])

    # ------------------------------------------------------------------------------------------
    # Rows that are given

    def _fill(self, found: dict[fx.Node, Any]) -> None:
        for node, past in self.history.items():
            value = found[node].expand(self.batch, -1, self.row, self.width)
            value = value[:, :, -past.shape[1] :].permute(0, 2, 3, 1)
            edge = self.edge[node]
            past[:, past.shape[1] - value.shape[1] :, edge : edge + self.width] = value
        for node, state in self.states.items():
            state.fill(found[node], *(found[n] for n in self.graph.inputs(node)))
