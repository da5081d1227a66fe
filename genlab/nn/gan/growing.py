"""Progressively growing generator and discriminator."""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, leaky_relu

from genlab.nn.conditions import LabelEmbedding
from genlab.nn.gan.equalized import EqualConv, EqualLinear, MinibatchDeviation, PixelNorm
from genlab.nn.gan.projection import ProjectionHead

__all__ = ["GrowingDiscriminator", "GrowingGenerator", "grown", "shrunk"]

Sizes = Sequence[tuple[int, int]]


def shrunk(x: Tensor, times: int) -> Tensor:
    """The images of half the sides, so many times over."""
    return avg_pool2d(x, 2**times) if times else x


def grown(x: Tensor, times: int) -> Tensor:
    """The images of twice the sides, so many times over, each pixel repeated."""
    return interpolate(x, scale_factor=2**times) if times else x


def _act(x: Tensor) -> Tensor:
    return leaky_relu(x, 0.2)


def _faded(before: Tensor, after: Tensor, fade: float) -> Tensor:
    # on a GPU, autocast enlarges in float32 what it convolves in bf16
    return torch.lerp(before.to(after.dtype), after, fade)


class GrowingGenerator(nn.Module):
    """Progressively growing generator (Karras et al. 2018, arXiv:1710.10196, table 2).

    Args:
        latent: Length of a code.
        channels: Of the images.
        sizes: Of the maps, the smallest first: a stage each.
        width: Channels at the largest size; they double at each halving, up to four times.
        num_classes: Number of labels, 0 for none; their embedding is appended to the code.
    """

    def __init__(
        self, latent: int, channels: int, sizes: Sizes, *, width: int, num_classes: int = 0
    ):
        super().__init__()
        widths = [width * min(2**i, 4) for i in range(len(sizes))][::-1]
        self.start = (widths[0], *sizes[0])
        self.norm = PixelNorm()
        self.classes = LabelEmbedding(num_classes, latent) if num_classes else None
        n_in = latent * (2 if num_classes else 1)
        self.stem = EqualLinear(n_in, widths[0] * sizes[0][0] * sizes[0][1])
        self.first = nn.ModuleList(
            [EqualConv(a, b) for a, b in itertools.pairwise([widths[0], *widths])]
        )
        self.second = nn.ModuleList([EqualConv(n, n) for n in widths[1:]])
        self.images = nn.ModuleList([EqualConv(n, channels, 1, gain=1.0) for n in widths])

    def forward(
        self, z: Tensor, y: Tensor | None = None, stage: int = -1, fade: float = 1
    ) -> Tensor:
        """Images ``(B, C, h, w)`` of a stage's size, about on [-1, 1].

        Args:
            z: Codes ``(B, latent)``.
            y: Labels ``(B,)``.
            stage: Which size, 0 the smallest.
            fade: Share of the stage's own image; the rest is that of the stage before, enlarged.
        """
        stage = stage % len(self.first)
        h = self.norm(z)
        if self.classes is not None:
            h = torch.cat([h, self.norm(self.classes(y))], 1)
        # Up to the stage's size
        h = self.norm(_act(self.stem(h).unflatten(1, self.start)))
        before = h
        for i in range(stage + 1):
            before = h
            h = self.norm(_act(self.first[i](grown(h, 1) if i else h)))
            if i:
                h = self.norm(_act(self.second[i - 1](h)))
        # To colors, faded in
        image = self.images[stage](h)
        if stage == 0 or fade >= 1:
            return image
        return _faded(grown(self.images[stage - 1](before), 1), image, fade)


class GrowingDiscriminator(nn.Module):
    """Progressively growing discriminator: the generator mirrored.

    Args:
        channels: Of the images.
        sizes: Of the maps, the smallest first: a stage each.
        width: Channels at the largest size; they double at each halving, up to four times.
        num_classes: Number of labels, 0 for none.
        packing: Images judged together.
    """

    def __init__(
        self, channels: int, sizes: Sizes, *, width: int, num_classes: int = 0, packing: int = 1
    ):
        super().__init__()
        widths = [width * min(2**i, 4) for i in range(len(sizes))][::-1]
        self.images = nn.ModuleList([EqualConv(packing * channels, n, 1) for n in widths])
        self.first = nn.ModuleList([EqualConv(n, n) for n in widths[1:]])
        self.second = nn.ModuleList([EqualConv(b, a) for a, b in itertools.pairwise(widths)])
        self.deviation = MinibatchDeviation()
        self.last = EqualConv(widths[0] + 1, widths[0])
        self.dense = EqualLinear(widths[0] * sizes[0][0] * sizes[0][1], widths[0])
        self.head = ProjectionHead(widths[0], num_classes, packing)

    def features(self, x: Tensor, stage: int = -1, fade: float = 1) -> Tensor:
        """Features, the input of the last layer, of images of the stage's size."""
        stage = stage % len(self.images)
        h = _act(self.images[stage](x))
        for i in range(stage, 0, -1):
            h = shrunk(_act(self.second[i - 1](_act(self.first[i - 1](h)))), 1)
            if i == stage and fade < 1:
                h = _faded(_act(self.images[stage - 1](shrunk(x, 1))), h, fade)
        return _act(self.dense(_act(self.last(self.deviation(h))).flatten(1)))

    def forward(
        self, x: Tensor, y: Tensor | None = None, stage: int = -1, fade: float = 1
    ) -> Tensor:
        """Logits ``(B,)``: large for what looks real."""
        return self.head(self.features(x, stage, fade), y)
