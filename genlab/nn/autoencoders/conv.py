"""Convolutional encoder and decoder."""

import itertools

import torch
from torch import Tensor, nn

from genlab.nn.autoencoders.mlp import MLP

__all__ = ["ConvDecoder", "ConvEncoder", "CropTo", "pyramid"]


def pyramid(height: int, width: int, *, smallest: int = 4, depth: int = 8) -> list[tuple[int, int]]:
    """Sizes by repeated halving (rounded up) while a side exceeds ``smallest``, largest first.

    Example:
        >>> pyramid(28, 28)
        [(28, 28), (14, 14), (7, 7), (4, 4)]
        >>> pyramid(2, 2)
        [(2, 2)]
        >>> pyramid(32, 48, depth=2)
        [(32, 48), (16, 24), (8, 12)]
    """
    sizes = [(height, width)]
    while max(sizes[-1]) > smallest and len(sizes) <= depth:
        sizes.append(((sizes[-1][0] + 1) // 2, (sizes[-1][1] + 1) // 2))
    return sizes


class CropTo(nn.Module):
    """Crop of a map to its upper left: what doubling a rounded-up half leaves."""

    def __init__(self, height: int, width: int):
        super().__init__()
        self.size = (height, width)

    def forward(self, x: Tensor) -> Tensor:
        """The cropped map."""
        return x[..., : self.size[0], : self.size[1]]

    def extra_repr(self) -> str:
        """The size, for printing."""
        return f"{self.size[0]}, {self.size[1]}"


def _widths(width: int, levels: int) -> list[int]:
    return [min(width * 2**i, 4 * width) for i in range(levels)]


class ConvEncoder(nn.Module):
    """Convolutional encoder: strided down to at most 8 x 8, then fully connected layers.

    Args:
        shape: ``(C, H, W)`` of the images.
        out: Number of features.
        width: Channels of the first convolution; they double at each halving, up to four times.
        hidden: Width of the fully connected hidden layer.
        context: Length of a context vector, which joins at the fully connected layers.
        dropout: Probability with which a unit of the hidden layer is dropped.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        out: int,
        *,
        width: int,
        hidden: int,
        context: int = 0,
        dropout: float = 0.0,
    ):
        super().__init__()
        sizes = pyramid(*shape[1:], smallest=8)
        channels = [shape[0], *_widths(width, len(sizes) - 1)]
        layers: list[nn.Module] = []
        for n_in, n_out in itertools.pairwise(channels):
            layers += [nn.Conv2d(n_in, n_out, 3, stride=2, padding=1), nn.ReLU()]
        self.convolutions = nn.Sequential(*layers, nn.Flatten())
        flat = channels[-1] * sizes[-1][0] * sizes[-1][1]
        self.head = MLP([flat + context, hidden, out], dropout=dropout)
        self.to(memory_format=torch.channels_last)  # measured: a tenth to a quarter off a step

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Features ``(B, out)`` of images ``(B, C, H, W)`` on [0, 1] and of their context."""
        h = self.convolutions(2 * x - 1)
        return self.head(h if context is None else torch.cat([h, context], 1))


class ConvDecoder(nn.Module):
    """Convolutional decoder: `ConvEncoder` mirrored, by transposed convolutions.

    Args:
        n: Length of a code, context and all.
        shape: ``(P, H, W)`` of what is put out.
        width: Channels before the last transposed convolution; see `ConvEncoder`.
        hidden: Width of the fully connected hidden layer.
        dropout: Probability with which a unit of the hidden layer is dropped.
    """

    def __init__(
        self,
        n: int,
        shape: tuple[int, int, int],
        *,
        width: int,
        hidden: int,
        dropout: float = 0.0,
    ):
        super().__init__()
        sizes = pyramid(*shape[1:], smallest=8)[::-1]
        channels = [*_widths(width, len(sizes) - 1)[::-1], shape[0]]
        flat = channels[0] * sizes[0][0] * sizes[0][1]
        self.stem = MLP([n, hidden, flat], dropout=dropout)
        self.start = (channels[0], *sizes[0])
        layers: list[nn.Module] = []
        for (n_in, n_out), size in zip(itertools.pairwise(channels), sizes[1:], strict=True):
            # A kernel that is a multiple of the stride covers all pixels evenly: no checkerboard.
            layers += [nn.ReLU(), nn.ConvTranspose2d(n_in, n_out, 4, stride=2, padding=1)]
            layers += [CropTo(*size)]
        self.convolutions = nn.Sequential(*layers)
        self.to(memory_format=torch.channels_last)

    def forward(self, z: Tensor) -> Tensor:
        """Maps ``(B, P, H, W)`` of codes ``(B, n)``."""
        return self.convolutions(self.stem(z).unflatten(1, self.start)).contiguous()
