"""The blocks of masked convolutions that PixelCNNs are stacked from."""

import torch
from torch import Tensor, nn

from genlab.nn.causal.layers import Pointwise
from genlab.nn.causal.masked import MaskedConv2d, VerticalConv2d

__all__ = ["GatedBlock", "ResidualBlock", "gate"]


def gate(x: Tensor) -> Tensor:
    """``tanh(a) sigmoid(b)`` of the two halves of the channels."""
    a, b = x.chunk(2, 1)
    return torch.tanh(a) * torch.sigmoid(b)


class ResidualBlock(nn.Module):
    """A bottleneck with a masked convolution (van den Oord et al. 2016, arXiv:1601.06759, fig. 5).

    Args:
        width: Channels; half as many within.
        kernel: Side of the convolution, odd.
        dilation: Of the convolution.
        dropout: Probability of dropout within.
        context: Channels of the context, 0 for none.
        colors: Ordered color groups, see `genlab.nn.causal.layers.color_mask`.
    """

    def __init__(
        self,
        width: int,
        *,
        kernel: int = 3,
        dilation: int = 1,
        dropout: float = 0.0,
        context: int = 0,
        colors: int = 1,
    ):
        super().__init__()
        reach, inner = kernel // 2, width // 2
        self.reduce = Pointwise(width, inner, colors=colors, scale=2**0.5)
        self.conv = MaskedConv2d(
            inner, inner, rows=reach, left=reach, dilation=dilation, colors=colors, scale=2**0.5
        )
        self.context = Pointwise(context, inner, bias=False) if context else None
        self.dropout = nn.Dropout(dropout)
        self.expand = Pointwise(inner, width, colors=colors, scale=0.5)

    def forward(self, x: Tensor, context: Tensor | None) -> Tensor:
        """Maps ``(B, width, H, W)`` and a context ``(B, K, 1, 1)`` to ``(B, width, H, W)``."""
        y = self.conv(torch.relu_(self.reduce(torch.relu(x))))
        if self.context is not None:
            y = y + self.context(context)
        return x + self.expand(self.dropout(torch.relu_(y)))


class GatedBlock(nn.Module):
    """A vertical and a horizontal stack, gated (van den Oord et al. 2016, arXiv:1606.05328).

    The vertical stack sees the rows above, all of them, and tells the horizontal one, which sees
    what is left of here: together they have no blind spot.

    Args:
        width: Channels of either stack.
        kernel: Side of the kernel that the stacks' kernels are parts of, odd.
        dilation: Of the convolutions.
        dropout: Probability of dropout of the gated values.
        context: Channels of the context, 0 for none.
        colors: Ordered color groups, see `genlab.nn.causal.layers.color_mask`.
        last: No block follows, so only the gated values count.
    """

    def __init__(
        self,
        width: int,
        *,
        kernel: int = 3,
        dilation: int = 1,
        dropout: float = 0.0,
        context: int = 0,
        colors: int = 1,
        last: bool = False,
    ):
        super().__init__()
        reach = kernel // 2
        self.vertical = VerticalConv2d(width, 2 * width, rows=reach, reach=reach, dilation=dilation)
        self.horizontal = MaskedConv2d(
            width, 2 * width, rows=0, left=reach, dilation=dilation, colors=colors
        )
        self.link = Pointwise(2 * width, 2 * width, bias=False, scale=0.5)
        self.context = Pointwise(context, 4 * width, bias=False) if context else None
        self.dropout = nn.Dropout(dropout)
        self.out = None if last else Pointwise(width, width, colors=colors)

    def forward(
        self, vertical: Tensor, horizontal: Tensor, context: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Both stacks ``(B, width, H, W)`` to both, and the gated values for a skip connection."""
        down = self.vertical(vertical)
        right = self.horizontal(horizontal)
        if self.context is not None:
            to_down, to_right = self.context(context).chunk(2, 1)
            down, right = down + to_down, right + to_right
        value = self.dropout(gate(right + self.link(down)))
        if self.out is None:
            return vertical, horizontal, value
        return gate(down), horizontal + self.out(value), value
