"""PixelRNN."""

import torch
from torch import Tensor, nn

from genlab.models.autoregressive import Autoregressive
from genlab.nn.causal.layers import Pointwise
from genlab.nn.causal.masked import MaskedConv2d
from genlab.nn.causal.row_lstm import RowLSTM
from genlab.nn.heads.heads import HeadName, make_head
from genlab.ranges import PositiveInt
from genlab.types import ImageSpec

__all__ = ["PixelRNN"]


class PixelRNN(Autoregressive):
    """PixelRNN of Row LSTMs (van den Oord et al. 2016, arXiv:1601.06759).

    Layers have residual connections. Rows are computed one after the other, the pixels of a row at
    once. Colors are pixels side by side.

    Args:
        spec: What the images look like.
        layers: Number of LSTMs.
        width: Channels of an LSTM's state.
        reach: Pixels to either side that a state sees in the row above.
        kernel: Pixels of the row that an input sees, to the left and itself.
        first_kernel: Side of the first layer's kernel, odd.
        head: Distribution of a pixel; ``auto`` is Bernoulli for binary images, else logistic.
        head_components: Components of the logistic mixture.
        conditional: Model p(x | y); every LSTM sees an embedding of the label.

    Raises:
        ConfigError: The head does not suit the images.
    """

    def __init__(
        self,
        spec: ImageSpec,
        *,
        layers: PositiveInt = 3,
        width: PositiveInt = 32,
        reach: PositiveInt = 1,
        kernel: PositiveInt = 2,
        first_kernel: PositiveInt = 7,
        head: HeadName = "auto",
        head_components: PositiveInt = 5,
        conditional: bool = False,
    ):
        super().__init__(spec, conditional, flat=True)
        self.head = make_head(head, self.canvas, components=head_components)
        first = max(first_kernel // 2, 1)
        self.network = RecurrentStack(
            layers, width, reach, kernel - 1, first, self.context, self.head.channels
        )


class RecurrentLayer(nn.Module):
    """Row LSTM layer, and the masked convolution that makes its gates."""

    def __init__(self, width: int, reach: int, left: int, context: int):
        super().__init__()
        self.gates = MaskedConv2d(width, 4 * width, rows=0, left=left)
        self.context = Pointwise(context, 4 * width, bias=False) if context else None
        self.lstm = RowLSTM(width, reach=reach)
        self.out = Pointwise(width, width)

    def forward(self, x: Tensor, context: Tensor | None) -> Tensor:
        """Maps ``(B, width, H, W)`` to the same shape."""
        gates = self.gates(x)
        if self.context is not None:
            gates = gates + self.context(context)
        return x + self.out(self.lstm(gates))


class RecurrentStack(nn.Module):
    """Network of a PixelRNN, called with an image and a context."""

    def __init__(
        self, layers: int, width: int, reach: int, left: int, first: int, context: int, outputs: int
    ):
        super().__init__()
        self.first = MaskedConv2d(1, width, rows=first, left=first, strict=True)
        self.layers = nn.ModuleList(
            RecurrentLayer(width, reach, left, context) for _ in range(layers)
        )
        self.hidden = Pointwise(width, width, scale=2**0.5)
        self.out = Pointwise(width, outputs, scale=0.1)

    def forward(self, x: Tensor, context: Tensor | None) -> Tensor:
        """An image ``(B, 1, H, W)`` on [-1, 1] to the head's parameters ``(B, P, H, W)``."""
        y = self.first(x)
        for layer in self.layers:
            y = layer(y, context)
        return self.out(torch.relu(self.hidden(torch.relu(y))))
