"""Completion of partly known examples by a denoiser."""

import itertools
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from genlab.nn.diffusion.solvers import Denoise, posterior_sample
from genlab.row_streams import normal

__all__ = ["inpaint"]


def inpaint(
    denoise: Denoise,
    z: Tensor,
    clean: Tensor,
    known: Tensor,
    levels: Sequence[float],
    *,
    rounds: int,
    generator: torch.Generator | None = None,
    noise_scale: float = 1.0,
    after_step: Callable[[int, Tensor], None] | None = None,
) -> Tensor:
    """Draws the unknown part of examples (RePaint, Lugmayr et al. 2022, arXiv:2201.09865).

    At each level what is known stands in the place of what is expected of it, and the step is
    taken several times, with the noise put back in between: what was drawn in the dark comes to
    suit what is known. It is exact as the rounds become many.

    Args:
        denoise: The denoiser.
        z: Noise ``(B, ...)`` of the first level.
        clean: The examples ``(B, ...)``; where they are not known they do not matter.
        known: Mask of what is known, broadcast to ``clean``.
        levels: The grid, descending to 0.
        rounds: How often each step is taken, at least 1.
        generator: Source of the noise.
        noise_scale: What the noise of the unknown part is multiplied by.
        after_step: Called with the number of steps done and the last D.
    """
    z = torch.where(known, clean + levels[0] * standard(z, generator), z)
    for step, (r, lower) in enumerate(itertools.pairwise(levels)):
        for left in reversed(range(rounds if lower > 0 else 1)):
            d = torch.where(known, clean, denoise(z, r))
            z_lower = posterior_sample(z, d, r, lower, generator, noise_scale)
            back = math.sqrt(r**2 - lower**2)
            z = z_lower + back * standard(z, generator) if left else z_lower
        if after_step is not None:
            after_step(step + 1, d)
    return z


def standard(z: Tensor, generator: torch.Generator | None) -> Tensor:
    """Standard normal noise of z's shape."""
    return normal(z.shape, generator, dtype=z.dtype, device=z.device)
