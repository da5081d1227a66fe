"""Log-density under the probability-flow ODE of a denoiser."""

import itertools
import math
from collections.abc import Callable

import torch
from torch import Tensor

from genlab.nn.diffusion.noise_levels import grid

__all__ = ["log_density"]

STAGES = ((0.0, 1 / 6), (0.5, 1 / 3), (0.5, 1 / 3), (1.0, 1 / 6))
"""Where the four stages of RK4 lie in a step, and their weights."""


def log_density(
    denoise: Callable[[Tensor, float], Tensor],
    x: Tensor,
    *,
    low: float,
    high: float,
    steps: int,
    probes: int | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    r"""Log-density of points at level ``low`` of the model that the ODE defines.

    ``log p(x) = log N(z(high); 0, high^2) + int_low^high div((z - D) / r) dr`` (Song et al. 2021,
    arXiv:2011.13456, equation 39), by the classic Runge-Kutta method of fourth order. With too few
    steps it is no likelihood, and errs upwards: compare with twice as many.

    Args:
        denoise: ``(z, r) -> D(z)``, differentiable.
        x: Points ``(B, ...)``.
        low: The level that x is at.
        high: The level at which nothing but noise is left.
        steps: Steps of four evaluations each.
        probes: Random signs that estimate the divergence (Hutchinson 1989), whose mean is right;
            None for the divergence itself, a backward pass for each number of an example.
        generator: Source of the signs.

    Returns:
        Nats ``(B,)``.
    """
    levels = grid("karras", steps + 1, low, high)[-2::-1]
    signs = None
    if probes is not None:
        shape = (probes, *x.shape)
        signs = torch.randint(0, 2, shape, device=x.device, generator=generator).to(x) * 2 - 1
    z, total = x, x.new_zeros(len(x))
    for r, higher in itertools.pairwise(levels):
        h, slope, divergence = higher - r, torch.zeros_like(z), torch.zeros_like(total)
        velocity = slope
        for at, weight in STAGES:
            velocity, spread = field(denoise, z + at * h * velocity, r + at * h, signs)
            slope = slope + weight * velocity
            divergence = divergence + weight * spread
        z, total = z + h * slope, total + h * divergence
    prior = (z / high).square().flatten(1).sum(1) / 2
    return total - prior - x[0].numel() * math.log(high * math.sqrt(2 * math.pi))


def field(
    denoise: Callable[[Tensor, float], Tensor], z: Tensor, r: float, signs: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The ODE's right side ``(z - D) / r`` and its divergence ``(B,)``."""
    with torch.enable_grad():
        z = z.detach().requires_grad_()
        velocity = (z - denoise(z, r)) / r
        flat, spread = velocity.flatten(1), z.new_zeros(len(z))
        if signs is None:
            for i in range(flat.shape[1]):
                (row,) = torch.autograd.grad(flat[:, i].sum(), z, retain_graph=True)
                spread = spread + row.flatten(1)[:, i]
        else:
            for sign in signs:
                (row,) = torch.autograd.grad((velocity * sign).sum(), z, retain_graph=True)
                spread = spread + (row * sign).flatten(1).sum(1) / len(signs)
    return velocity.detach(), spread
