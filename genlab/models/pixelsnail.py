"""PixelSNAIL."""

import torch
from torch import Tensor, nn

from genlab.errors import ConfigError
from genlab.models.autoregressive import Autoregressive
from genlab.nn.causal.attention import CausalAttention
from genlab.nn.causal.gated_resnet import GatedResnet, concat_elu
from genlab.nn.causal.layers import Pointwise, Position
from genlab.nn.causal.masked import MaskedConv2d
from genlab.nn.heads.heads import HeadName, make_head
from genlab.ranges import Fraction, NonNegativeInt, PositiveInt
from genlab.types import ImageSpec

__all__ = ["PixelSNAIL"]

PLACE = 4  # channels that tell a query where it is


class PixelSNAIL(Autoregressive):
    """PixelSNAIL: gated convolutions, each block with causal attention (Chen et al. 2018).

    arXiv:1712.09763. Keys and values know the pixel they stand for, so a pixel attends strictly to
    those before it. Colors that the head treats as independent are pixels side by side.

    Args:
        spec: What the images look like.
        blocks: Number of blocks.
        residual: Gated residual blocks before each attention.
        width: Channels of a block.
        heads: Heads of attention.
        key: Channels of queries and keys, over all heads.
        dropout: Probability of dropout in the residual blocks.
        head: Distribution of a pixel; ``auto`` is Bernoulli for binary images, else logistic.
        head_components: Components of the logistic mixture.
        conditional: Model p(x | y); every residual block sees an embedding of the label.

    Raises:
        ConfigError: Heads that divide width or key not, or a head that does not suit the images.
    """

    def __init__(
        self,
        spec: ImageSpec,
        *,
        blocks: PositiveInt = 3,
        residual: NonNegativeInt = 2,
        width: PositiveInt = 32,
        heads: PositiveInt = 2,
        key: PositiveInt = 16,
        dropout: Fraction = 0.0,
        head: HeadName = "auto",
        head_components: PositiveInt = 5,
        conditional: bool = False,
    ):
        # Heads that draw channels independently need them side by side
        independent = head in ("bernoulli", "categorical") or spec.levels == 2
        super().__init__(spec, conditional, flat=independent and spec.channels > 1)
        for name, channels in (("width", width), ("key", key)):
            if channels % heads:
                raise ConfigError(f"model.heads={heads}: must divide model.{name}={channels}")
        # Head and network
        self.head = make_head(head, self.canvas, components=head_components)
        self.network = AttentiveStack(
            self.canvas,
            blocks=blocks,
            residual=residual,
            width=width,
            heads=heads,
            key=key,
            dropout=dropout,
            context=self.context,
            outputs=self.head.channels,
        )


class AttentiveBlock(nn.Module):
    """PixelSNAIL block: gated convolutions, then attention, merged by one more gated layer."""

    def __init__(
        self,
        inputs: int,
        *,
        residual: int,
        width: int,
        heads: int,
        key: int,
        dropout: float,
        context: int,
    ):
        super().__init__()

        def conv(i: int, o: int) -> nn.Module:
            return MaskedConv2d(i, o, rows=1, left=1)

        self.residual = nn.ModuleList(
            GatedResnet(width, conv, dropout=dropout, context=context) for _ in range(residual)
        )
        self.query = Pointwise(width + PLACE, key)
        self.key = Pointwise(width + inputs + PLACE, key)
        self.value = Pointwise(width + inputs, width)
        self.attention = CausalAttention(heads, strict=True)
        self.merge = GatedResnet(width, Pointwise, extra=width)

    def forward(self, x: Tensor, image: Tensor, place: Tensor, context: Tensor | None) -> Tensor:
        """Maps ``(B, width, H, W)`` to the same shape."""
        for block in self.residual:
            x = block(x, None, context)
        known = torch.cat([x, image], 1)
        seen = self.attention(
            self.query(torch.cat([x, place], 1)),
            self.key(torch.cat([x, image, place], 1)),
            self.value(known),
        )
        return self.merge(x, seen)


class AttentiveStack(nn.Module):
    """Network of a PixelSNAIL, called with an image and a context."""

    def __init__(
        self,
        canvas: ImageSpec,
        *,
        blocks: int,
        residual: int,
        width: int,
        heads: int,
        key: int,
        dropout: float,
        context: int,
        outputs: int,
    ):
        super().__init__()
        # A first layer that does not see its own pixel, and blocks that attend to places
        self.first = MaskedConv2d(canvas.channels, width, rows=2, left=2, strict=True)
        self.place = Position(PLACE, canvas.height, canvas.width, std=1.0)
        self.blocks = nn.ModuleList(
            AttentiveBlock(
                canvas.channels,
                residual=residual,
                width=width,
                heads=heads,
                key=key,
                dropout=dropout,
                context=context,
            )
            for _ in range(blocks)
        )
        self.out = Pointwise(2 * width, outputs, scale=0.1)

    def forward(self, x: Tensor, context: Tensor | None) -> Tensor:
        """An image ``(B, C, H, W)`` on [-1, 1] to the head's parameters ``(B, P, H, W)``."""
        y, place = self.first(x), self.place(x)
        for block in self.blocks:
            y = block(y, x, place, context)
        return self.out(concat_elu(y))
