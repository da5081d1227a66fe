"""Image GPT: a causal transformer over pixels."""

import torch
from torch import Tensor, nn

from genlab.errors import ConfigError
from genlab.models.autoregressive import Autoregressive
from genlab.nn.causal.attention import CausalAttention
from genlab.nn.causal.layers import ChannelNorm, LevelEmbedding, Pointwise, Position
from genlab.nn.causal.masked import MaskedConv2d
from genlab.nn.heads.heads import HeadName, make_head
from genlab.ranges import Fraction, PositiveInt
from genlab.types import ImageSpec

__all__ = ["ImageGPT"]


class ImageGPT(Autoregressive):
    """Image GPT: a decoder-only transformer that reads an image as a sequence of pixels.

    Chen et al. 2020, "Generative Pretraining from Pixels", with three differences: values are
    embedded one by one instead of in clusters of colors, colors being pixels side by side; the
    sequence is shifted by a convolution that sees the pixels above, too; the head may be any.
    Keys and values are kept in sampling.

    Args:
        spec: What the images look like.
        blocks: Number of blocks.
        width: Channels of a block.
        heads: Heads of attention, which must divide the width.
        dropout: Probability of dropout behind each sub-layer.
        head: Distribution of a pixel; ``auto`` is Bernoulli for binary images, else logistic.
        head_components: Components of the logistic mixture.
        conditional: Model p(x | y); the label's embedding is added to each token.

    Raises:
        ConfigError: The heads do not divide the width, or the head does not suit the images.
    """

    def __init__(
        self,
        spec: ImageSpec,
        *,
        blocks: PositiveInt = 4,
        width: PositiveInt = 64,
        heads: PositiveInt = 4,
        dropout: Fraction = 0.0,
        head: HeadName = "auto",
        head_components: PositiveInt = 5,
        conditional: bool = False,
    ):
        super().__init__(spec, conditional, flat=True)
        if width % heads:
            raise ConfigError(f"model.heads={heads}: must divide model.width={width}")
        self.head = make_head(head, self.canvas, components=head_components)
        self.network = Transformer(
            self.canvas, blocks, width, heads, dropout, self.context, self.head.channels
        )


class TransformerBlock(nn.Module):
    """Pre-normalized transformer block of causal attention and a perceptron."""

    def __init__(self, width: int, heads: int, dropout: float, scale: float):
        super().__init__()
        self.norm1, self.norm2 = ChannelNorm(width), ChannelNorm(width)
        self.qkv = Pointwise(width, 3 * width)
        self.attention = CausalAttention(heads)
        self.merge = Pointwise(width, width, scale=scale)
        self.wide = Pointwise(width, 4 * width)
        self.narrow = Pointwise(4 * width, width, scale=scale)
        self.activation = nn.GELU()
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(B, width, H, W)`` to the same shape."""
        q, k, v = self.qkv(self.norm1(x)).chunk(3, 1)
        x = x + self.dropout(self.merge(self.attention(q, k, v)))
        return x + self.dropout(self.narrow(self.activation(self.wide(self.norm2(x)))))


class Transformer(nn.Module):
    """Network of an Image GPT, called with an image and a context."""

    def __init__(
        self,
        canvas: ImageSpec,
        blocks: int,
        width: int,
        heads: int,
        dropout: float,
        context: int,
        outputs: int,
    ):
        super().__init__()
        self.tokens = LevelEmbedding(canvas.levels, width)
        self.shift = MaskedConv2d(width, width, rows=1, left=1, strict=True)
        self.position = Position(width, canvas.height, canvas.width, std=0.1)
        self.context = Pointwise(context, width) if context else None
        scale = (2 * blocks) ** -0.5
        self.blocks = nn.ModuleList(
            TransformerBlock(width, heads, dropout, scale) for _ in range(blocks)
        )
        self.norm = ChannelNorm(width)
        self.out = Pointwise(width, outputs, scale=0.1)

    def forward(self, x: Tensor, context: Tensor | None) -> Tensor:
        """An image ``(B, 1, H, W)`` on [-1, 1] to the head's parameters ``(B, P, H, W)``."""
        y = self.shift(self.tokens(x)) + self.position(x)
        if self.context is not None:
            y = y + self.context(context)
        for block in self.blocks:
            y = block(y)
        return self.out(torch.relu(self.norm(y)))
