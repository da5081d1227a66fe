"""Solvers: from noise to an example, or back, by a denoiser alone.

All follow ``dz/dr = (z - D(z, r)) / r`` (Karras et al. 2022, equation 1) or, ancestral, the chain
of posteriors, in the frame of `genlab.nn.diffusion.output_rules`; a grid says where they stop.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor

from genlab.row_streams import normal

__all__ = ["Denoise", "SamplerName", "evaluations", "posterior_sample", "solve"]

Denoise = Callable[[Tensor, float], Tensor]
"""``(z, r) -> D(z)``, the clean example expected at level r."""

SamplerName = Literal["dpm2m", "euler", "heun", "ancestral"]


def evaluations(sampler: SamplerName, steps: int) -> int:
    """Evaluations of the denoiser for a sample; the last step, to level 0, takes one.

    Example:
        >>> evaluations("dpm2m", 8), evaluations("heun", 18)
        (8, 35)
    """
    return 2 * steps - 1 if sampler == "heun" else steps


def solve(
    denoise: Denoise,
    z: Tensor,
    levels: Sequence[float],
    sampler: SamplerName,
    *,
    generator: torch.Generator | None = None,
    noise_scale: float = 1.0,
    after_step: Callable[[int, Tensor], None] | None = None,
) -> Tensor:
    """Takes z from the first level of a grid to the last one.

    Args:
        denoise: The denoiser.
        z: ``(B, ...)`` at the first level.
        levels: The grid, descending to 0 to draw, ascending to encode (``euler`` and ``heun``).
        sampler: ``euler``: first order, DDIM of every path (Song et al. 2021). ``heun``: second
            order, two evaluations a step. ``dpm2m``: DPM-Solver++(2M), second order from one
            evaluation a step (Lu et al. 2022, arXiv:2211.01095). ``ancestral``: a sample of
            each step's posterior, DDPM (Ho et al. 2020).
        generator: Source of the ancestral noise.
        noise_scale: What that noise is multiplied by.
        after_step: Called with the number of steps done and the last D.

    Returns:
        z at the last level; at level 0 it is the example.
    """
    before: tuple[Tensor, float] | None = None
    for step, (r, lower) in enumerate(itertools.pairwise(levels)):
        d = denoise(z, r)
        if sampler == "ancestral" and lower > 0:
            moved = posterior_sample(z, d, r, lower, generator, noise_scale)
        elif sampler == "dpm2m" and before is not None and lower > 0:
            # D is extrapolated linearly in the log-SNR to the middle of the step.
            ratio = math.log(r / lower) / math.log(before[1] / r)
            moved = euler(z, d + (d - before[0]) * (ratio / 2), r, lower)
        else:
            moved = euler(z, d, r, lower)
            if sampler == "heun" and lower > 0:
                slope = (z - d) / r + (moved - denoise(moved, lower)) / lower
                moved = z + (lower - r) / 2 * slope
        before, z = (d, r), moved
        if after_step is not None:
            after_step(step + 1, d)
    return z


def euler(z: Tensor, d: Tensor, r: float, lower: float) -> Tensor:
    """z at another level if D stayed the same: exact for a single example."""
    return torch.lerp(d, z, lower / r)


def posterior_sample(
    z: Tensor,
    d: Tensor,
    r: float,
    lower: float,
    generator: torch.Generator | None,
    scale: float,
) -> Tensor:
    """A sample of ``q(z_lower | z, x = D)`` (Ho et al. 2020, equation 7)."""
    keep = (lower / r) ** 2
    noise = normal(z.shape, generator, dtype=z.dtype, device=z.device)
    return torch.lerp(d, z, keep) + scale * lower * math.sqrt(1 - keep) * noise
