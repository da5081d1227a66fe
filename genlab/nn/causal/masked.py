"""Convolutions in raster order, kept as what they are: the rows above, and what is left of here.

Nothing is masked that could be left out: the kernels hold only the weights that count, and are put
together once a forward pass. The cached computation takes the parts apart again: rows above are
convolved once a row, and what is left of here is one small matrix product a pixel.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genlab.nn.causal.layers import CausalLayer, Domain, color_mask

__all__ = ["MaskedConv2d", "VerticalConv2d"]


class MaskedConv2d(CausalLayer):
    """Sees ``rows`` rows above, ``left`` pixels to the left and, unless strict, its own pixel.

    ``rows=3, left=3, strict=True`` is the 7x7 convolution of mask A of van den Oord et al. 2016
    (arXiv:1601.06759), ``rows=1, left=1`` the 3x3 one of mask B, and ``rows=0`` the horizontal
    one of a gated PixelCNN.

    Args:
        inputs: Channels in.
        outputs: Channels out.
        rows: Rows above.
        left: Pixels to the left, in this row and in those above.
        right: Pixels to the right in the rows above, at most left; None is as many.
        strict: Mask A: not its own pixel; of several colors, its own pixel's earlier ones.
        dilation: Distance between neighbours.
        colors: Number of ordered color groups, see `color_mask`.
        bias: Whether a bias is added.
        scale: Factor on the initial weights.
    """

    mask: Tensor | None

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        rows: int = 1,
        left: int = 1,
        right: int | None = None,
        strict: bool = False,
        dilation: int = 1,
        colors: int = 1,
        bias: bool = True,
        scale: float = 1.0,
    ):
        super().__init__()
        self.rows, self.left, self.strict, self.dilation = rows, left, strict, dilation
        self.right = left if right is None else right
        self.centre = not strict or colors > 1
        # Weights: those of the rows above and those of this row, which sees fewer columns
        taps = left + self.centre
        across = left + 1 + self.right
        std = scale * (inputs * (rows * across + taps)) ** -0.5
        self.above = (
            nn.Parameter(std * torch.randn(outputs, inputs, rows, across)) if rows else None
        )
        self.own = nn.Parameter(std * torch.randn(outputs, inputs, 1, taps))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        # Of this pixel, a color sees the earlier colors
        mask = None
        if colors > 1:
            mask = torch.ones(outputs, inputs, 1, taps)
            mask[..., 0, -1] = color_mask(outputs, inputs, colors, strict)
        self.register_buffer("mask", mask, persistent=False)

    def domain(self, *inputs: Domain) -> Domain:
        """Of the pixels before, if the layer is strict or its input is."""
        return Domain.PIXEL if self.strict else max(Domain.PIXEL, *inputs)

    def own_row(self) -> Tensor:
        """The weights of this row that count, ``(outputs, inputs, 1, taps)``."""
        return self.own if self.mask is None else self.own * self.mask

    def kernel(self) -> Tensor:
        """The kernel of an ordinary convolution that does the same.

        ``(outputs, inputs, rows + 1, left + 1 + right)``: the rows above, and below them this row,
        with zeros where it must not look. Without rows above these zeros are left out.
        """
        own = self.own_row()
        if self.above is None:
            return own
        return torch.cat([self.above, F.pad(own, (0, self.above.shape[-1] - own.shape[-1]))], 2)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(B, inputs, H, W)`` to ``(B, outputs, H, W)``."""
        return convolve(x, self.kernel(), self.bias, self.rows, self.left, self.dilation)


class VerticalConv2d(CausalLayer):
    """Sees the rows above, ``reach`` pixels to either side, and its own row unless strict.

    A strict one makes of an image what its rows above say; those after it see their own row, too,
    for by then nothing in it tells of this row's pixels (van den Oord et al. 2016,
    arXiv:1606.05328, figure 1: no blind spot).

    Args:
        inputs: Channels in.
        outputs: Channels out.
        rows: Rows above.
        reach: Pixels to either side.
        strict: Not its own row.
        dilation: Distance between neighbours.
        bias: Whether a bias is added.
        scale: Factor on the initial weights.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        rows: int = 1,
        reach: int = 1,
        strict: bool = False,
        dilation: int = 1,
        bias: bool = True,
        scale: float = 1.0,
    ):
        super().__init__()
        self.rows, self.left, self.strict, self.dilation = rows, reach, strict, dilation
        height, across = rows + (not strict), 2 * reach + 1
        std = scale * (inputs * height * across) ** -0.5
        self.weight = nn.Parameter(std * torch.randn(outputs, inputs, height, across))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None

    def domain(self, *inputs: Domain) -> Domain:
        """Of the rows above, if the layer is strict or its input is."""
        if self.strict or max(inputs) <= Domain.ROW:
            return Domain.ROW
        return Domain.IMAGE  # it would see pixels to the right

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(B, inputs, H, W)`` to ``(B, outputs, H, W)``."""
        return convolve(x, self.weight, self.bias, self.rows, self.left, self.dilation)


def convolve(
    x: Tensor, kernel: Tensor, bias: Tensor | None, rows: int, left: int, dilation: int
) -> Tensor:
    """Convolves with a kernel whose upper left tap is so many rows above and pixels to the left.

    Channels lie innermost (`channels_last`), whatever the input's layout: of maps of few channels,
    which is what masked convolutions have, all that follows takes a half of the time on a CPU.
    """
    up, side = rows * dilation, left * dilation
    down = (kernel.shape[2] - 1 - rows) * dilation  # negative where its own row is not seen
    right = (kernel.shape[3] - 1 - left) * dilation
    across = side if right == side else 0
    x = F.pad(x, (0, 0, up, down) if across else (side, right, up, down))
    kernel = kernel.contiguous(memory_format=torch.channels_last)
    y = F.conv2d(x, kernel, bias, padding=(0, across), dilation=dilation)
    return y.contiguous(memory_format=torch.channels_last)  # of one channel, conv2d keeps planes
