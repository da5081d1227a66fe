"""The variational bound of a denoiser (Kingma et al. 2021, arXiv:2107.00630), term by term.

``-log P(x) <= prior + reconstruction + int E|x - D(z)|^2 / r^2 d(log r)``, in nats, between the
lowest and the highest level. Draws at random levels are averaged, and never log-mean-exp'ed: each
estimates the bound, none of them p(x).
"""

import math

import torch
from torch import Tensor

__all__ = ["lowest_level", "prior_term", "reconstruction_term"]

NEAR = 8
"""Levels of grey on either side whose share in a reconstruction counts."""


def lowest_level(levels: int) -> float:
    """A noise level that hides nothing of data of so many values between -1 and 1.

    A sixth of the distance of two values: the reconstruction term is then below 0.01 nats an
    entry. At EDM's 0.002 it would be 0.1 to 0.2 bits/dim of 256 values.
    """
    return 2 / (levels - 1) / 6


def prior_term(x: Tensor, high: float) -> Tensor:
    """KL of what is left at the highest level from pure noise, nats ``(B,)``.

    Args:
        x: Examples ``(B, ...)`` on the scale [-1, 1].
        high: The highest level.
    """
    return (x / high).square().flatten(1).sum(1) / 2


def reconstruction_term(
    x: Tensor, values: Tensor, levels: int, low: float, generator: torch.Generator | None = None
) -> Tensor:
    """``-log p(x | z)`` at one z of the lowest level, nats ``(B,)``.

    ``p(x | z)`` of an entry is proportional to ``N(z; x, low^2)`` over all its values.

    Args:
        x: Examples ``(B, ...)`` on the scale [-1, 1].
        values: The same as integers ``0 .. levels - 1``.
        levels: Number of values.
        low: The lowest level.
        generator: Source of z.
    """
    noise = torch.randn(x.shape, dtype=x.dtype, device=x.device, generator=generator) * low
    reach = min(NEAR, levels - 1)
    steps = torch.arange(-reach, reach + 1, device=x.device)
    others = values.long()[..., None] + steps
    squared = (noise[..., None] - steps * (2 / (levels - 1))).square() / (-2 * low**2)
    squared = squared.masked_fill((others < 0) | (others >= levels), -math.inf)
    return (squared.logsumexp(-1) + noise.square() / (2 * low**2)).flatten(1).sum(1)
