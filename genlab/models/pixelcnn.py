"""PixelCNN: masked convolutions, plain or gated."""

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn

from genlab.errors import ConfigError
from genlab.models.autoregressive import Autoregressive
from genlab.nn.causal.fold import Fold
from genlab.nn.causal.gated import GatedBlock, ResidualBlock
from genlab.nn.causal.layers import LevelEmbedding, LevelMarks, Pointwise, Position
from genlab.nn.causal.masked import MaskedConv2d, VerticalConv2d
from genlab.nn.heads.heads import HeadName, make_head
from genlab.nn.heads.spiked import TOP
from genlab.ranges import Fraction, PositiveInt
from genlab.types import ImageSpec

__all__ = ["PixelCNN"]


class PixelCNN(Autoregressive):
    """PixelCNN of masked convolutions (van den Oord et al. 2016, arXiv:1601.06759, 1606.05328).

    With several channels and a head that treats them as independent (Bernoulli, categorical) the
    masks order the channels of a pixel, red before green before blue; the mixture of logistics
    has an order of its own.

    Args:
        spec: What the images look like.
        blocks: Number of blocks.
        width: Channels of a block.
        block: ``gated`` (vertical and horizontal stacks) or ``residual`` (bottlenecks).
        first_kernel: Side of the first layer's kernel, odd.
        kernel: Side of the blocks' kernels, odd.
        dilations: Of the blocks, one after the other and over again.
        hidden: Channels of the layer before the head; None is as many as ``width``.
        position: Add a learned vector for each place.
        fold: Neighbouring pixels of a row that are channels of one site, see
            `genlab.nn.causal.fold.Fold`: so many times cheaper, and kernels reach so many times
            farther. Of a width that it does not divide, the greatest common divisor.
        dropout: Probability of dropout in the blocks.
        head: Distribution of a pixel; ``auto`` is Bernoulli for binary images, else logistic.
        head_components: Components of the logistic mixture.
        conditional: Model p(x | y); every block sees an embedding of the label.
        embed: Length of a learned vector for each level, which the network sees in place of the
            level's height: for levels that are names, such as codes. Of one channel and unfolded.
        marks: The network sees, beside each level, whether it is black and whether it is almost
            white, see `genlab.nn.causal.layers.LevelMarks`: for scans, as the head ``spiked``.

    Raises:
        ConfigError: An even kernel, a width that the colors cannot share, or a head that does not
            suit the images.
    """

    def __init__(
        self,
        spec: ImageSpec,
        *,
        blocks: PositiveInt = 8,
        width: PositiveInt = 32,
        block: Literal["gated", "residual"] = "gated",
        first_kernel: PositiveInt = 7,
        kernel: PositiveInt = 3,
        dilations: list[int] | None = None,
        hidden: PositiveInt | None = None,
        position: bool = False,
        fold: PositiveInt = 1,
        dropout: Fraction = 0.0,
        head: HeadName = "auto",
        head_components: PositiveInt = 5,
        conditional: bool = False,
        embed: PositiveInt | None = None,
        marks: bool = False,
    ):
        super().__init__(spec, conditional)
        # What excludes each other
        if embed and (spec.channels > 1 or fold > 1):
            raise ConfigError(
                f"model.embed={embed}: needs images of one channel and model.fold=1, these have "
                f"{spec.channels} and {fold}"
            )
        if marks and (embed or spec.levels <= 2 * TOP):
            raise ConfigError(
                f"model.marks=true: needs images of more than {2 * TOP} levels and no model.embed, "
                f"these have {spec.levels} and model.embed={embed or 'null'}"
            )
        for key, side in (("first_kernel", first_kernel), ("kernel", kernel)):
            if side % 2 == 0 or side < 3:
                raise ConfigError(f"model.{key}={side}: must be odd and at least 3")
        dilations = [1] if not dilations else list(dilations)
        if min(dilations) < 1:
            raise ConfigError(f"model.dilations={dilations}: each must be at least 1")
        # Head, and the order of colors that it asks for
        self.head = make_head(head, spec, components=head_components)
        fold = math.gcd(fold, spec.width)
        self.fold = Fold(fold, ordered_colors(self.head.uniforms, spec))
        colors = self.fold.colors
        halves = 2 if block == "residual" else 1
        hidden = hidden or width
        for key, channels, unit in (
            ("width", width, halves * colors),
            ("hidden", hidden, colors),
        ):
            if channels % unit:
                raise ConfigError(
                    f"model.{key}={channels}: must be a multiple of {unit}, for {colors} colors "
                    "and neighbours come in order; or take model.head=logistic, model.fold=1"
                )
        # Network, and what it sees of a pixel
        tokens: nn.Module | None = None
        if embed:
            tokens = LevelEmbedding(spec.levels, embed)
        elif marks:
            tokens = LevelMarks(spec.levels, TOP)
        self.network = Stack(
            embed or spec.channels * fold * (3 if marks else 1),
            (spec.height, spec.width // fold),
            gated=block == "gated",
            blocks=blocks,
            width=width,
            first=first_kernel // 2,
            kernel=kernel,
            dilations=dilations,
            hidden=hidden,
            position=position,
            dropout=dropout,
            context=self.context,
            colors=colors,
            outputs=self.head.channels * fold,
            tokens=tokens,
        )


def ordered_colors(uniforms: int, spec: ImageSpec) -> int:
    """Number of groups of channels that the masks must order: a head's own order needs none."""
    return spec.channels if uniforms == spec.channels else 1


class Stack(nn.Module):
    """Network of a PixelCNN, called with an image and a context."""

    def __init__(
        self,
        inputs: int,
        size: tuple[int, int],
        *,
        gated: bool,
        blocks: int,
        width: int,
        first: int,
        kernel: int,
        dilations: list[int],
        hidden: int,
        position: bool,
        dropout: float,
        context: int,
        colors: int,
        outputs: int,
        tokens: nn.Module | None = None,
    ):
        super().__init__()
        self.gated = gated
        self.tokens = tokens
        # First layers, which do not see their own pixel
        rows = 0 if gated else first
        self.down = None
        if gated:
            self.down = VerticalConv2d(inputs, width, rows=first, reach=first, strict=True)
        self.right = MaskedConv2d(inputs, width, rows=rows, left=first, strict=True, colors=colors)
        self.position = Position(width, *size) if position else None
        # Blocks
        options: dict[str, Any] = {
            "kernel": kernel,
            "dropout": dropout,
            "context": context,
            "colors": colors,
        }
        steps = [dilations[i % len(dilations)] for i in range(blocks)]
        self.blocks = nn.ModuleList(
            GatedBlock(width, dilation=d, last=i == blocks - 1, **options)
            if gated
            else ResidualBlock(width, dilation=d, **options)
            for i, d in enumerate(steps)
        )
        # Output: a skip connection of each gated block, of residual ones of the last alone
        self.skips = nn.ModuleList(
            Pointwise(width, hidden, bias=i == 0, colors=colors, scale=blocks**-0.5)
            for i in range(blocks if gated else 1)
        )
        self.hidden = Pointwise(hidden, hidden, colors=colors, scale=2**0.5)
        self.out = Pointwise(hidden, outputs, colors=colors, scale=0.1)

    def forward(self, x: Tensor, context: Tensor | None) -> Tensor:
        """An image ``(B, C, H, W)`` on [-1, 1] to the head's parameters ``(B, P, H, W)``."""
        if self.tokens is not None:
            x = self.tokens(x)
        right = self.right(x)
        if self.position is not None:
            right = right + self.position(x)
        if self.down is not None:
            down, skipped = self.down(x), []
            for block, skip in zip(self.blocks, self.skips, strict=True):
                down, right, value = block(down, right, context)
                skipped.append(skip(value))
            total = sum(skipped[1:], skipped[0])
        else:
            for block in self.blocks:
                right = block(right, context)
            total = self.skips[0](torch.relu_(right))
        return self.out(torch.relu_(self.hidden(torch.relu_(total))))
