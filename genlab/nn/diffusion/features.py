"""Features of a noise level."""

import math

import torch
from torch import Tensor, nn

__all__ = ["LevelEmbedding"]


class LevelEmbedding(nn.Module):
    """Sines and cosines of a noise level, and two layers on them.

    Args:
        size: Length of the embedding; even.
        context: Length of a condition's vector, which is added after the first layer.
    """

    frequencies: Tensor

    def __init__(self, size: int, context: int = 0):
        super().__init__()
        spread = torch.linspace(0, math.log(200.0), size // 4).exp()
        self.register_buffer("frequencies", spread, persistent=False)
        self.first = nn.Linear(2 * len(spread), size)
        self.second = nn.Linear(size, size)
        self.condition = nn.Linear(context, size, bias=False) if context else None

    def forward(self, level: Tensor, context: Tensor | None) -> Tensor:
        """Vectors ``(B, size)`` of levels ``(B,)`` of about -2 to 2, and conditions or None."""
        angles = level[:, None] * self.frequencies
        h = self.first(torch.cat([angles.cos(), angles.sin()], 1))
        if self.condition is not None and context is not None:
            h = h + self.condition(context)
        return nn.functional.silu(self.second(nn.functional.silu(h)))
