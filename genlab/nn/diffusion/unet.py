"""A U-Net of patches, sized for a CPU: nothing is computed at full size."""

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional

from genlab.nn.diffusion.features import LevelEmbedding

__all__ = ["UNet"]

HEADS = 4


def groups(channels: int) -> int:
    """Groups of a normalization: 8, or as many as divide the channels."""
    return next(n for n in (8, 4, 2, 1) if channels % n == 0)


class Residual(nn.Module):
    """Two convolutions of 3 x 3, the second one scaled and shifted by the level's embedding.

    It begins as the identity.

    Args:
        channels: Of input and output.
        embedding: Length of the embedding.
        dropout: Probability of dropout between the convolutions.
    """

    def __init__(self, channels: int, embedding: int, dropout: float):
        super().__init__()
        self.norm_in = nn.GroupNorm(groups(channels), channels)
        self.norm = nn.GroupNorm(groups(channels), channels)
        self.conv_in = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.modulation = nn.Linear(embedding, 2 * channels)
        self.dropout = nn.Dropout(dropout)
        nn.init.zeros_(self.conv.weight)
        nn.init.zeros_(self.conv.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """``(B, C, H, W)`` of ``(B, C, H, W)`` and ``(B, embedding)``."""
        h = self.conv_in(functional.silu(self.norm_in(x)))
        scale, shift = self.modulation(embedding)[:, :, None, None].chunk(2, 1)
        h = torch.addcmul(shift, self.norm(h), 1 + scale)
        result: Tensor = x + self.conv(self.dropout(functional.silu(h)))
        return result


class Attention(nn.Module):
    """Self-attention over all places of a map; it begins as the identity.

    Args:
        channels: Of input and output, a multiple of the heads' number.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.norm = nn.GroupNorm(groups(channels), channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.out = nn.Conv2d(channels, channels, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` of ``(B, C, H, W)``."""
        b, c, h, w = x.shape
        qkv = self.qkv(self.norm(x)).reshape(b, 3, HEADS, c // HEADS, h * w)
        q, k, v = qkv.transpose(-1, -2).unbind(1)
        seen = functional.scaled_dot_product_attention(q, k, v)
        result: Tensor = x + self.out(seen.transpose(-1, -2).reshape(b, c, h, w))
        return result


class UNet(nn.Module):
    """Residual blocks at one size after the other and back, joined by sums.

    After Ronneberger et al. 2015 and Ho et al. 2020, made cheap: squares of pixels are channels
    from the start, the way up is a 1 x 1 convolution and a shuffle, and what was at a size on the
    way down is added instead of concatenated.

    Args:
        channels: Of the images.
        height: Of the images, with the width what decides how often they can be halved.
        width_pixels: Of the images.
        outputs: Channels of the output; as many as the images have if None.
        patch: Side of the squares that become channels; halved until it divides the sides.
        width: Channels at the largest size, twice as many at each smaller one; a multiple of 4.
        scales: Sizes, at most: a side that is odd is not halved.
        depth: Residual blocks at a size, on each way.
        dropout: Probability of dropout in a block.
        context: Length of a condition's vector.
    """

    def __init__(
        self,
        channels: int,
        height: int,
        width_pixels: int,
        *,
        outputs: int | None = None,
        patch: int = 2,
        width: int = 32,
        scales: int = 2,
        depth: int = 1,
        dropout: float = 0.0,
        context: int = 0,
    ):
        super().__init__()
        # Patches that fit, as channels
        while height % patch or width_pixels % patch:
            patch //= 2
        self.patch = patch
        area = patch * patch
        embedding = 4 * width
        self.embedding = LevelEmbedding(embedding, context)
        self.stem = nn.Conv2d(channels * area, width, 3, padding=1)
        # Sizes, as many as can be halved
        widths = [width]
        side = (height // patch, width_pixels // patch)
        while len(widths) < scales and not any(n % 2 or n < 2 for n in side):
            widths.append(2 * widths[-1])
            side = (side[0] // 2, side[1] // 2)

        def blocks(size: int) -> nn.ModuleList:
            return nn.ModuleList(Residual(size, embedding, dropout) for _ in range(depth))

        # Blocks on the way down and up, and between the sizes
        self.down = nn.ModuleList(blocks(size) for size in widths[:-1])
        self.up = nn.ModuleList(blocks(size) for size in widths[:-1])
        pairs = list(itertools.pairwise(widths))
        self.shrink = nn.ModuleList(nn.Conv2d(a, b, 2, stride=2) for a, b in pairs)
        self.grow = nn.ModuleList(nn.Conv2d(b, 4 * a, 1) for a, b in pairs)
        self.lowest = nn.ModuleList([*blocks(widths[-1]), *blocks(widths[-1])])
        self.attention = Attention(widths[-1])
        # The output, which begins at 0
        self.norm = nn.GroupNorm(groups(width), width)
        self.head = nn.Conv2d(width, (outputs or channels) * area, 3, padding=1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor, level: Tensor, context: Tensor | None) -> Tensor:
        """The output ``(B, outputs, H, W)``.

        Args:
            x: Images ``(B, C, H, W)`` of about unit variance.
            level: Noise levels ``(B,)``.
            context: Conditions' vectors ``(B, context)`` or None.
        """
        embedding = self.embedding(level, context)
        # Down
        h = self.stem(functional.pixel_unshuffle(x, self.patch))
        kept = []
        for blocks, shrink in zip(self.down, self.shrink, strict=True):
            for block in blocks:  # type: ignore[attr-defined]
                h = block(h, embedding)
            kept.append(h)
            h = shrink(h)
        # The smallest size, with attention in the middle
        half = len(self.lowest) // 2
        for i, block in enumerate(self.lowest):
            h = block(h, embedding)
            if i == half - 1:
                h = self.attention(h)
        # Up
        for blocks, grow in zip(reversed(self.up), reversed(self.grow), strict=True):
            h = functional.pixel_shuffle(grow(h), 2) + kept.pop()
            for block in blocks:  # type: ignore[attr-defined]
                h = block(h, embedding)
        return functional.pixel_shuffle(self.head(functional.silu(self.norm(h))), self.patch)
