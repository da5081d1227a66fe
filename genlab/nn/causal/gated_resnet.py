"""The gated residual block of PixelCNN++ and PixelSNAIL."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genlab.nn.causal.layers import Pointwise

__all__ = ["GatedResnet", "concat_elu"]


def concat_elu(x: Tensor) -> Tensor:
    """``elu(x)`` and ``elu(-x)``, twice the channels."""
    return F.elu(torch.cat([x, -x], 1))


class GatedResnet(nn.Module):
    """Two convolutions, the second gated, beside a residual (Salimans et al. 2017, section 2.5).

    Args:
        width: Channels.
        conv: Makes a convolution of so many channels in and out.
        extra: Channels of a second input, 0 for none.
        dropout: Probability of dropout between the convolutions.
        context: Channels of the context, 0 for none.
    """

    def __init__(
        self,
        width: int,
        conv: Callable[[int, int], nn.Module],
        *,
        extra: int = 0,
        dropout: float = 0.0,
        context: int = 0,
    ):
        super().__init__()
        self.first = conv(2 * width, width)
        self.extra = Pointwise(2 * extra, width, bias=False) if extra else None
        self.dropout = nn.Dropout(dropout)
        self.second = conv(2 * width, 2 * width)
        self.context = Pointwise(context, 2 * width, bias=False) if context else None

    def forward(
        self, x: Tensor, extra: Tensor | None = None, context: Tensor | None = None
    ) -> Tensor:
        """Maps ``(B, width, H, W)`` to the same shape."""
        y = self.first(concat_elu(x))
        if self.extra is not None:
            assert extra is not None
            y = y + self.extra(concat_elu(extra))
        y = self.second(self.dropout(concat_elu(y)))
        if self.context is not None:
            y = y + self.context(context)
        a, b = y.chunk(2, 1)
        return x + a * torch.sigmoid(b)
