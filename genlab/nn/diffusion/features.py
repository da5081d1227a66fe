"""Features of a noise level."""

import math

import torch
from torch import Tensor, nn

__all__ = ["LevelEmbedding", "waves"]

FASTEST = 200.0
"""The highest frequency of the features."""


def waves(level: Tensor, size: int) -> Tensor:
    """Cosines and sines of levels ``(B,)``, ``(B, size)``; their frequencies go from 1 to 200."""
    spread = torch.linspace(0, math.log(FASTEST), size // 2, device=level.device).exp()
    angles = level[:, None] * spread
    return torch.cat([angles.cos(), angles.sin()], 1)


class LevelEmbedding(nn.Module):
    """Sines and cosines of a noise level, and two layers on them.

    Args:
        size: Length of the embedding; even.
        context: Length of a condition's vector, which is added after the first layer.
    """

    def __init__(self, size: int, context: int = 0):
        super().__init__()
        self.waves = size // 4 * 2
        self.first = nn.Linear(self.waves, size)
        self.second = nn.Linear(size, size)
        self.condition = nn.Linear(context, size, bias=False) if context else None

    def forward(self, level: Tensor, context: Tensor | None) -> Tensor:
        """Vectors ``(B, size)`` of levels ``(B,)`` of about -2 to 2, and conditions or None."""
        h = self.first(waves(level, self.waves))
        if self.condition is not None and context is not None:
            h = h + self.condition(context)
        return nn.functional.silu(self.second(nn.functional.silu(h)))
