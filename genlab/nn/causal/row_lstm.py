"""The Row LSTM of PixelRNN: a recurrence from each row to the next."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genlab.nn.causal.layers import CausalLayer, Domain, State

__all__ = ["RowLSTM"]


class RowLSTM(CausalLayer):
    """A convolutional LSTM that runs down the rows (van den Oord et al. 2016, arXiv:1601.06759).

    The state of a pixel comes from those of the pixels above it, ``reach`` to either side, and
    from its input, of which the layer before must make the four gates. All pixels of a row are
    computed at once.

    Args:
        width: Channels of the state.
        reach: Pixels to either side that a state sees in the row above.
    """

    def __init__(self, width: int, *, reach: int = 1):
        super().__init__()
        self.width, self.reach = width, reach
        taps = 2 * reach + 1
        self.recurrence = nn.Parameter((width * taps) ** -0.5 * torch.randn(4 * width, width, taps))

    def domain(self, *inputs: Domain) -> Domain:
        """Domain of the input."""
        return max(Domain.PIXEL, *inputs)

    def forward(self, gates: Tensor) -> Tensor:
        """Maps ``(B, 4 width, H, W)`` to ``(B, width, H, W)``."""
        hidden = cell = gates.new_zeros(len(gates), self.width, gates.shape[-1])
        rows = []
        for row in gates.unbind(2):
            hidden, cell = update(row + self.above(hidden), cell)
            rows.append(hidden)
        return torch.stack(rows, 2)

    def above(self, hidden: Tensor) -> Tensor:
        """Contribution of the states of a row ``(B, width, W)`` to the gates of the next."""
        return F.conv1d(hidden, self.recurrence, padding=self.reach)

    def start(self, batch: int, height: int, width: int, like: Tensor) -> State:
        """States of zeros above the image."""
        return RowState(self, like.new_zeros(batch, self.width, width))


def update(gates: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    """One step of an LSTM: the new hidden state and cell."""
    keep, add, show, new = gates.chunk(4, 1)
    cell = keep.sigmoid() * cell + add.sigmoid() * new.tanh()
    return show.sigmoid() * cell.tanh(), cell


class RowState(State):
    """The states of the row above, replaced from left to right by those of this row."""

    def __init__(self, layer: RowLSTM, zeros: Tensor):
        self.layer = layer
        self.hidden, self.cell = zeros.clone(), zeros.clone()
        self.gates = zeros

    def row(self, row: int) -> None:
        """The recurrence of the whole row, before its states are overwritten."""
        self.gates = self.layer.above(self.hidden)

    def pixel(self, row: int, column: int, *inputs: Tensor) -> Tensor:
        """One step of the LSTM at a pixel."""
        hidden, cell = update(inputs[0] + self.gates[..., column], self.cell[..., column])
        self.hidden[..., column], self.cell[..., column] = hidden, cell
        return hidden

    def fill(self, output: Tensor, *inputs: Tensor) -> None:
        """Runs over the rows above: their cells are not among the outputs."""
        for gates in inputs[0].unbind(2):
            self.hidden, self.cell = update(gates + self.layer.above(self.hidden), self.cell)
