"""Self-attention between the positions of a map (SAGAN)."""

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d

__all__ = ["MapAttention"]


class MapAttention(nn.Module):
    """Self-attention of maps: ``x + gamma W_o softmax(f(x)^T g(x)) h(x)``, gamma learned from 0.

    Zhang et al. 2019, arXiv:1805.08318, section 3, with keys and values pooled by 2 as in the
    authors' code, so that a quarter of the positions are attended to.

    Args:
        channels: Of the maps; queries and keys have an eighth of them, values a half.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.query = nn.Conv2d(channels, max(channels // 8, 1), 1, bias=False)
        self.key = nn.Conv2d(channels, max(channels // 8, 1), 1, bias=False)
        self.value = nn.Conv2d(channels, max(channels // 2, 1), 1, bias=False)
        self.out = nn.Conv2d(max(channels // 2, 1), channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Maps of the shape of x ``(B, C, H, W)``."""
        query = self.query(x).flatten(2)
        key = max_pool2d(self.key(x), 2).flatten(2)
        value = max_pool2d(self.value(x), 2).flatten(2)
        weights = torch.einsum("bcn,bcm->bnm", query, key).softmax(-1)
        seen = torch.einsum("bcm,bnm->bcn", value, weights)
        return x + self.gamma * self.out(seen.unflatten(2, x.shape[2:]))
