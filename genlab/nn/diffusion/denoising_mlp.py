"""A residual network of fully connected layers, for points and tiny images."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from genlab.nn.diffusion.features import LevelEmbedding

__all__ = ["DenoisingMLP"]


class Residual(nn.Module):
    """Two fully connected layers, scaled and shifted by the level's embedding.

    It begins as the identity.

    Args:
        width: Units.
        embedding: Length of the embedding.
        dropout: Probability of dropout between the layers.
    """

    def __init__(self, width: int, embedding: int, dropout: float):
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.modulation = nn.Linear(embedding, 2 * width)
        self.first, self.second = nn.Linear(width, width), nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """``(B, width)`` of ``(B, width)`` and ``(B, embedding)``."""
        scale, shift = self.modulation(embedding).chunk(2, 1)
        h = self.first(torch.addcmul(shift, self.norm(x), 1 + scale))
        result: Tensor = x + self.second(self.dropout(functional.silu(h)))
        return result


class DenoisingMLP(nn.Module):
    """Residual blocks on an example as a vector.

    Args:
        shape: Of an example.
        outputs: Channels of the output; as many as an example has if None.
        width: Units of a layer.
        depth: Residual blocks.
        dropout: Probability of dropout in a block.
        context: Length of a condition's vector.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        outputs: int | None = None,
        width: int = 256,
        depth: int = 3,
        dropout: float = 0.0,
        context: int = 0,
    ):
        super().__init__()
        self.shape = (outputs or shape[0], *shape[1:])
        size = math.prod(shape)
        self.embedding = LevelEmbedding(128, context)
        self.stem, self.head = nn.Linear(size, width), nn.Linear(width, math.prod(self.shape))
        self.blocks = nn.ModuleList(Residual(width, 128, dropout) for _ in range(depth))
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, x: Tensor, level: Tensor, context: Tensor | None) -> Tensor:
        """The output ``(B, outputs, ...)``; see `genlab.nn.diffusion.unet.UNet`."""
        embedding = self.embedding(level, context)
        h = self.stem(x.flatten(1))
        for block in self.blocks:
            h = block(h, embedding)
        result: Tensor = self.head(h).view(len(x), *self.shape)
        return result
