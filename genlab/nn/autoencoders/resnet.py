"""Residual encoder and decoder."""

import itertools

import torch
from torch import Tensor, nn

from genlab.nn.autoencoders.conv import pyramid

__all__ = ["ResBlock", "ResNetDecoder", "ResNetEncoder"]


def _norm(channels: int) -> nn.GroupNorm:
    # Groups of at least four channels: one alone in a 1 x 1 map would be normalized to nothing.
    groups = next(g for g in (8, 4, 2, 1) if channels % (4 * g) == 0 or g == 1)
    return nn.GroupNorm(groups, channels)


class ResBlock(nn.Module):
    """Residual block ``x + f(x)``, f pre-activated (He et al. 2016, arXiv:1603.05027).

    Normalization is by group, so that no image depends on the others of its batch.
    """

    def __init__(self, channels: int, dropout: float = 0.0):
        super().__init__()
        self.f = nn.Sequential(
            _norm(channels),
            nn.SiLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            _norm(channels),
            nn.SiLU(),
            *([nn.Dropout(dropout)] if dropout else []),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """A map of x's shape."""
        return x + self.f(x)


def _channels(width: int, levels: int) -> list[int]:
    return [width * min(2**i, 4) for i in range(levels)]


class ResNetEncoder(nn.Module):
    """Residual encoder: blocks at each size from the image's down to at most 4 x 4.

    Args:
        shape: ``(C, H, W)`` of the images.
        out: Number of features.
        width: Channels at full size; they double at each halving, up to four times.
        blocks: Residual blocks at each size.
        context: Length of a context vector, which joins at the last layer.
        dropout: Probability of dropout inside the blocks.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        out: int,
        *,
        width: int,
        blocks: int,
        context: int = 0,
        dropout: float = 0.0,
    ):
        super().__init__()
        sizes = pyramid(*shape[1:])
        channels = _channels(width, len(sizes))
        layers: list[nn.Module] = [nn.Conv2d(shape[0], width, 3, padding=1)]
        for n_in, n_out in itertools.zip_longest(channels, channels[1:]):
            layers += [ResBlock(n_in, dropout) for _ in range(blocks)]
            layers += [nn.Conv2d(n_in, n_out, 3, stride=2, padding=1)] if n_out else []
        self.blocks = nn.Sequential(*layers, _norm(channels[-1]), nn.SiLU(), nn.Flatten())
        self.head = nn.Linear(channels[-1] * sizes[-1][0] * sizes[-1][1] + context, out)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Features ``(B, out)`` of images ``(B, C, H, W)`` on [0, 1] and of their context."""
        h = self.blocks(2 * x - 1)
        return self.head(h if context is None else torch.cat([h, context], 1))


class ResNetDecoder(nn.Module):
    """Residual decoder: `ResNetEncoder` mirrored, upsampling by nearest neighbour.

    Args:
        n: Length of a code, context and all.
        shape: ``(P, H, W)`` of what is put out.
        width: Channels at full size.
        blocks: Residual blocks at each size.
        dropout: Probability of dropout inside the blocks.
    """

    def __init__(
        self, n: int, shape: tuple[int, int, int], *, width: int, blocks: int, dropout: float = 0.0
    ):
        super().__init__()
        sizes = pyramid(*shape[1:])[::-1]
        channels = _channels(width, len(sizes))[::-1]
        self.start = (channels[0], *sizes[0])
        self.stem = nn.Linear(n, channels[0] * sizes[0][0] * sizes[0][1])
        layers: list[nn.Module] = [ResBlock(channels[0], dropout) for _ in range(blocks)]
        for (n_in, n_out), size in zip(itertools.pairwise(channels), sizes[1:], strict=True):
            layers += [nn.Upsample(size), nn.Conv2d(n_in, n_out, 3, padding=1)]
            layers += [ResBlock(n_out, dropout) for _ in range(blocks)]
        layers += [_norm(channels[-1]), nn.SiLU(), nn.Conv2d(channels[-1], shape[0], 3, padding=1)]
        self.blocks = nn.Sequential(*layers)

    def forward(self, z: Tensor) -> Tensor:
        """Maps ``(B, P, H, W)`` of codes ``(B, n)``."""
        return self.blocks(self.stem(z).unflatten(1, self.start))
