"""A transformer over patches of an image."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from genlab.nn.diffusion.features import LevelEmbedding

__all__ = ["DiT"]


class Block(nn.Module):
    """Attention and a fully connected network, each scaled, shifted and gated by the level.

    It begins as the identity (adaLN-Zero, Peebles and Xie 2023).

    Args:
        width: Of a patch's vector.
        heads: Of the attention.
        embedding: Length of the level's embedding.
        dropout: Probability of dropout after each of the two.
    """

    def __init__(self, width: int, heads: int, embedding: int, dropout: float):
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.modulation = nn.Linear(embedding, 6 * width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.first, self.second = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.dropout = nn.Dropout(dropout)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """``(B, N, width)`` of ``(B, N, width)`` and ``(B, embedding)``."""
        parts = self.modulation(embedding)[:, None].chunk(6, -1)
        h = torch.addcmul(parts[0], self.norm(x), 1 + parts[1])
        x = x + parts[2] * self.dropout(self.attend(h))
        h = torch.addcmul(parts[3], self.norm(x), 1 + parts[4])
        result: Tensor = x + parts[5] * self.dropout(
            self.second(functional.gelu(self.first(h), approximate="tanh"))
        )
        return result

    def attend(self, x: Tensor) -> Tensor:
        """Self-attention over all patches."""
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(q, k, v)
        result: Tensor = self.out(seen.transpose(1, 2).flatten(2))
        return result


class DiT(nn.Module):
    """Diffusion transformer (Peebles and Xie 2023, arXiv:2212.09748).

    Args:
        channels: Of the images.
        height: Of the images.
        width_pixels: Of the images.
        outputs: Channels of the output; as many as the images have if None.
        patch: Side of a patch; halved until it divides the sides.
        width: Of a patch's vector, a multiple of 32.
        depth: Blocks.
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
        patch: int = 4,
        width: int = 128,
        depth: int = 4,
        dropout: float = 0.0,
        context: int = 0,
    ):
        super().__init__()
        while height % patch or width_pixels % patch:
            patch //= 2
        self.patch, self.side = patch, (height // patch, width_pixels // patch)
        self.embedding = LevelEmbedding(width, context)
        self.stem = nn.Linear(channels * patch * patch, width)
        self.position = nn.Parameter(torch.randn(self.side[0] * self.side[1], width) * 0.02)
        heads = max(1, width // 32)
        self.blocks = nn.ModuleList(Block(width, heads, width, dropout) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, (outputs or channels) * patch * patch)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, x: Tensor, level: Tensor, context: Tensor | None) -> Tensor:
        """The output ``(B, outputs, H, W)``; see `genlab.nn.diffusion.unet.UNet`."""
        embedding = self.embedding(level, context)
        patches = functional.pixel_unshuffle(x, self.patch).flatten(2).transpose(1, 2)
        h = self.stem(patches) + self.position
        for block in self.blocks:
            h = block(h, embedding)
        out = self.head(self.norm(h)).transpose(1, 2).unflatten(2, self.side)
        return functional.pixel_shuffle(out, self.patch)
