"""Causal layers, which know which of their inputs come earlier.

Pixels come in raster order. A value at a pixel belongs to one of four *domains*, by what must be
known before it can be computed; the layers below say how they change it, and from that alone
`genlab.nn.causal.sampling.cached` derives the cached computation of any network made of them.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from enum import IntEnum
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = [
    "CausalLayer",
    "ChannelNorm",
    "Domain",
    "LevelEmbedding",
    "LevelMarks",
    "Pointwise",
    "Position",
    "State",
]


class Domain(IntEnum):
    """Set of values that a value at a pixel depends on."""

    CONSTANT = 0
    """No pixel: the same everywhere in an image, a class embedding for one."""
    ROW = 1
    """The rows above: computed for a whole row at once, before the row begins."""
    PIXEL = 2
    """The pixels before this one, so it may speak of this one."""
    IMAGE = 3
    """This pixel too: known only after the pixel is."""


class State(ABC):
    """State of a layer while an image is computed pixel by pixel."""

    @abstractmethod
    def pixel(self, row: int, column: int, *inputs: Tensor) -> Tensor:
        """The layer's output ``(B, C')`` at a pixel, of its inputs there, ``(B, C)`` each.

        Inputs of the domain IMAGE hold nothing yet: see `done`.
        """

    @abstractmethod
    def fill(self, output: Tensor, *inputs: Tensor) -> None:
        """Takes over the rows above, which were computed at once, as maps ``(B, C, rows, W)``."""

    def row(self, row: int) -> None:
        """Called before a row begins, for what can be computed for all of it."""
        return

    def done(self, row: int, column: int, *inputs: Tensor) -> None:
        """Called when the pixel is known, with all inputs there."""
        return


class CausalLayer(nn.Module, ABC):
    """A layer that looks at other pixels than its own."""

    @abstractmethod
    def domain(self, *inputs: Domain) -> Domain:
        """The output's domain, given those of the inputs."""

    def start(self, batch: int, height: int, width: int, like: Tensor) -> State:
        """A fresh state, of the device and the dtype of ``like``."""
        raise NotImplementedError(f"{type(self).__name__} is computed by the engine itself")

    def at_row(self, row: int, batch: int, width: int) -> Tensor:
        """The output ``(B, C, 1, W)`` of a layer that depends on nothing but the place."""
        raise NotImplementedError(f"{type(self).__name__} depends on the image")


def color_mask(outputs: int, inputs: int, colors: int, strict: bool) -> Tensor:
    """Mask of the own pixel's input channels that an output channel may see, ``(outputs, inputs)``.

    Channel j belongs to color ``j % colors``: it may see the colors before its own, and its own
    unless strict. This is the one place that decides the order within a pixel.
    """
    out, into = torch.arange(outputs) % colors, torch.arange(inputs) % colors
    return (out[:, None] > into if strict else out[:, None] >= into).to(torch.get_default_dtype())


class Pointwise(nn.Module):
    """A linear map of each pixel's channels, with the order of the colors if there are several.

    Args:
        inputs: Channels in.
        outputs: Channels out.
        colors: Number of ordered color groups, see `color_mask`.
        bias: Whether a bias is added.
        scale: Factor on the initial weights.
    """

    mask: Tensor | None

    def __init__(
        self, inputs: int, outputs: int, *, colors: int = 1, bias: bool = True, scale: float = 1.0
    ):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        nn.init.normal_(self.weight, std=scale * inputs**-0.5)
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        mask = color_mask(outputs, inputs, colors, strict=False) if colors > 1 else None
        self.register_buffer("mask", mask, persistent=False)

    def matrix(self) -> Tensor:
        """The weights that count, ``(outputs, inputs)``."""
        return self.weight if self.mask is None else self.weight * self.mask

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(B, inputs, H, W)`` to ``(B, outputs, H, W)``."""
        return F.conv2d(x, self.matrix()[:, :, None, None], self.bias)


class ChannelNorm(nn.LayerNorm):
    """Layer normalization of each pixel's channels."""

    sitewise = True

    def forward(self, input: Tensor) -> Tensor:
        """Maps ``(B, C, H, W)`` to the same shape."""
        return super().forward(input.movedim(1, -1)).movedim(-1, 1)


class LevelEmbedding(nn.Module):
    """A learned vector for each value of a single-channel pixel.

    Args:
        levels: Number of values, evenly spaced on [-1, 1].
        width: Length of a vector.
    """

    sitewise = True

    def __init__(self, levels: int, width: int):
        super().__init__()
        self.levels = levels
        self.table = nn.Embedding(levels, width)
        nn.init.normal_(self.table.weight, std=0.5)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(B, 1, H, W)`` on the scale [-1, 1] to ``(B, width, H, W)``."""
        level = ((x[:, 0] + 1) * ((self.levels - 1) / 2)).round().long()
        vectors: Tensor = self.table(level.clamp(0, self.levels - 1))
        return vectors.movedim(-1, 1)


class LevelMarks(nn.Module):
    """Adds to each pixel's channels whether it is black, and whether it is almost white.

    To a linear filter a black pixel and one a level lighter are the same; of scans, whose levels
    pile up at both ends, they mean the outside of a stroke and its edge.

    Args:
        levels: Number of values, evenly spaced on [-1, 1].
        top: How many of the highest ones are almost white.

    Example:
        >>> import torch
        >>> LevelMarks(256, top=4)(torch.tensor([0, 1, 252]).view(1, 1, 1, 3) / 127.5 - 1)[0, 1:]
        tensor([[[1., 0., 0.]],
        <BLANKLINE>
                [[0., 0., 1.]]])
    """

    sitewise = True

    def __init__(self, levels: int, top: int):
        super().__init__()
        self.black = 0.5 * 2 / (levels - 1) - 1  # between two levels: no rounding matters
        self.white = (levels - top - 0.5) * 2 / (levels - 1) - 1

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(B, C, H, W)`` on the scale [-1, 1] to ``(B, 3 C, H, W)``."""
        return torch.cat([x, (x < self.black).to(x.dtype), (x > self.white).to(x.dtype)], 1)


class Position(CausalLayer):
    """A learned vector for each place in the image: a term that costs nothing in sampling."""

    def __init__(self, channels: int, height: int, width: int, std: float = 0.0):
        super().__init__()
        self.table = nn.Parameter(std * torch.randn(channels, height, width))

    def domain(self, *inputs: Domain) -> Domain:
        """Known from the start, but different at each place."""
        return Domain.ROW

    def forward(self, x: Tensor) -> Tensor:
        """The vectors ``(B, C, h, w)`` of the upper left part that x ``(B, ?, h, w)`` covers."""
        return self.table[:, : x.shape[-2], : x.shape[-1]].expand(len(x), -1, -1, -1)

    def at_row(self, row: int, batch: int, width: int) -> Tensor:
        """The vectors of a row."""
        return self.table[:, row : row + 1, :width].expand(batch, -1, -1, -1)


def is_sitewise(module: Any) -> bool:
    """True if a module treats each pixel alone, so that it can be called on a single one."""
    known: Sequence[type] = (nn.ReLU, nn.ELU, nn.SiLU, nn.GELU, nn.Tanh, nn.Sigmoid, nn.Identity)
    return bool(getattr(module, "sitewise", False)) or isinstance(module, tuple(known))
