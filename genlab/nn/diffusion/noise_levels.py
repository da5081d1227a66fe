"""Noise levels: the densities that training draws them from, and the grids of samplers.

A level is the ratio r of noise to signal, see `genlab.nn.diffusion.output_rules`.
"""

import math
from typing import Literal

import torch
from torch import Tensor

__all__ = ["DensityName", "GridName", "draw_levels", "grid", "stratified"]

DensityName = Literal["normal", "logistic", "cosine", "uniform"]
GridName = Literal["karras", "flow", "log"]

OPEN = 1e-6  # a quantile's distance from the infinite ones


def stratified(n: int, *, device: torch.device | None = None,
               generator: torch.Generator | None = None) -> Tensor:  # fmt: skip
    """One number in each n-th of [0, 1), in random order, ``(n,)``: each of them is uniform.

    A mean over levels has a smaller variance so than of independent ones (Kingma et al. 2021,
    appendix I); the order must not be that of the images, which may be sorted.
    """
    u = torch.rand(n, device=device, generator=generator)
    return (torch.randperm(n, device=device, generator=generator) + u) / n


def draw_levels(
    u: Tensor,
    density: DensityName,
    low: float,
    high: float,
    mean: float,
    std: float,
    even: float = 0.0,
) -> Tensor:
    """Log-levels ``log r`` of quantiles u of a training density, within ``[log low, log high]``.

    Args:
        u: Numbers in [0, 1).
        density: ``normal``: log r is normal (Karras et al. 2022; for the straight path the
            logit-normal times of Esser et al. 2024). ``logistic``: uniform times of the straight
            path. ``cosine``: uniform times of Nichol and Dhariwal 2021. ``uniform``: log r is
            uniform, as the variational bound weighs it.
        low: The lowest level.
        high: The highest one.
        mean: Of a normal density.
        std: Of a normal density.
        even: Share of the levels that are drawn uniformly in log r whatever the density.

    Example:
        >>> draw_levels(torch.tensor([0.0, 0.5]), "uniform", 1.0, math.exp(4), 0, 1)
        tensor([0., 2.])
    """
    if density == "uniform":
        return math.log(low) + u * math.log(high / low)
    if even:
        rest = draw_levels((u - even) / (1 - even), density, low, high, mean, std)
        spread = math.log(low) + u / even * math.log(high / low)
        return torch.where(u < even, spread, rest)
    inner = u.clamp(OPEN, 1 - OPEN)
    if density == "normal":
        log_r = mean + std * torch.special.ndtri(inner)
    elif density == "logistic":
        log_r = inner.logit()
    else:
        log_r = (inner * (math.pi / 2)).tan().log()
    return log_r.clamp(math.log(low), math.log(high))


def grid(name: GridName, steps: int, low: float, high: float) -> list[float]:
    """Levels that a sampler goes through: steps of them, descending from high, then 0.

    Args:
        name: ``karras``: evenly spaced in r^(1/7) (Karras et al. 2022, equation 5). ``flow``:
            evenly spaced times of the straight path. ``log``: evenly spaced in log r.
        steps: Number of steps, at least 1.
        low: The last level before 0.
        high: The first one.

    Example:
        >>> [round(r, 3) for r in grid("karras", 4, 0.002, 80.0)]
        [80.0, 9.723, 0.47, 0.002, 0.0]
        >>> [round(r, 3) for r in grid("flow", 2, 0.002, 1e9)]
        [1000000000.0, 1.0, 0.0]
    """
    if name == "flow":
        t = [high / (1 + high) * (1 - i / steps) for i in range(1, steps)]
        return [high, *(s / (1 - s) for s in t), 0.0]
    share = [i / max(steps - 1, 1) for i in range(steps)]
    if name == "log":
        return [*(high * (low / high) ** i for i in share), 0.0]
    a, b = high ** (1 / 7), low ** (1 / 7)
    return [*((a + i * (b - a)) ** 7 for i in share), 0.0]
