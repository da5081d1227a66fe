"""Bound on the probability of discrete images under the probability-flow ODE of a denoiser.

An ODE has a density, and of what is continuous alone, so noise stands between image and density.
With z ~ q(z | x) the bound is ``log P(x) >= E[log p(z) + log P(x | z) - log q(z | x)]``, p the
ODE's density at the lowest level (Song et al. 2021, arXiv:2011.13456; Zheng et al. 2023,
arXiv:2305.03935, for noise that is the model's own).
"""

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from genlab.nn.diffusion.bound import reconstruction_term
from genlab.nn.diffusion.probability_flow import log_density

__all__ = ["Dequantization", "ode_bound"]

Dequantization = Literal["normal", "uniform"]

EXACT = 64
"""Numbers of an example up to which the divergence is worked out; above it, signs estimate it."""


def ode_bound(
    denoise: Callable[[Tensor, float], Tensor],
    x: Tensor,
    values: Tensor,
    *,
    levels: int,
    low: float,
    high: float,
    steps: int,
    dequantization: Dequantization = "normal",
    generator: torch.Generator | None = None,
) -> Tensor:
    """Nats ``(B,)`` below log P of discrete images, from one noise and one sign an image.

    Its mean is the bound up to the steps' error, which is optimistic: compare with twice as many.
    The divergence of images of up to 64 numbers is exact; above, Rademacher signs estimate it, and
    it is the logarithm that they leave unbiased.

    Args:
        denoise: ``(z, r) -> D(z)``, differentiable.
        x: Images ``(B, ...)`` on the scale [-1, 1].
        values: The same as integers ``0 .. levels - 1``.
        levels: Number of values.
        low: The lowest level.
        high: The highest one.
        steps: Of the Runge-Kutta method, four evaluations each.
        dequantization: ``normal``: noise of the lowest level, which the network was trained on.
            ``uniform``: over the bin of each value, as most published numbers have it.
        generator: Source of noise and signs.
    """
    width, dims = 2 / (levels - 1), x[0].numel()
    if dequantization == "uniform":
        noise = torch.rand(x.shape, dtype=x.dtype, device=x.device, generator=generator) - 0.5
        z = x + width * noise
        rest = x.new_full((len(x),), dims * math.log(width))
    else:
        noise = torch.randn(x.shape, dtype=x.dtype, device=x.device, generator=generator)
        z = x + low * noise
        entropy = noise.square().flatten(1).sum(1) / 2 + dims * math.log(low * math.sqrt(math.tau))
        rest = entropy - reconstruction_term(x, values, levels, low, generator)
    probes = None if dims <= EXACT else 1
    return rest + log_density(
        denoise, z, low=low, high=high, steps=steps, probes=probes, generator=generator
    )
