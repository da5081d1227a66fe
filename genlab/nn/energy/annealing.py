"""Annealed importance sampling of a restricted Boltzmann machine, forwards and backwards."""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

from genlab.nn.energy.tempered_rbm import TemperedRBM

__all__ = ["anneal", "reverse_anneal"]


@torch.no_grad()
def anneal(
    family: TemperedRBM,
    n: int,
    betas: Tensor,
    generator: torch.Generator | None = None,
    advance: Callable[[int], object] | None = None,
) -> tuple[Tensor, Tensor]:
    """Log weights of n chains that were led from β = 0 to 1, and where they came to.

    The mean of their exponentials is an unbiased estimate of Z / Z_0 (Neal 2001); by Jensen's
    inequality its log is too small on average, so that a likelihood comes out too good.

    Args:
        family: The machine and its way.
        n: Number of chains.
        betas: Inverse temperatures from 0 to 1, ascending.
        generator: Source of all randomness.
        advance: Called with 1 at each temperature.

    Returns:
        Float64 ``(n,)`` on the CPU, and the states ``(n, V)``.
    """
    v = family.begin(n, generator)
    log_w = torch.zeros(n, dtype=torch.float64, device=v.device)
    for low, high in pairwise(betas.tolist()):
        field = family.field(v)
        log_w += family.change(v, field, low, high)
        v = family.sweep(field, high, generator)
        if advance is not None:
            advance(1)
    return log_w.cpu(), v


@torch.no_grad()
def reverse_anneal(
    family: TemperedRBM, v: Tensor, betas: Tensor, generator: torch.Generator | None = None
) -> Tensor:
    """log of an unbiased estimate of p_a(v), p_a being what annealed chains come out as.

    RAISE (Burda et al. 2015): a chain begins at the example and is led back to β = 0, where it is
    held against the independent units. On average the log is a lower bound of log p_a(v), whose
    distance from the machine's falls with the number of temperatures: a likelihood comes out too
    bad where AIS says too good.

    Args:
        family: The machine and its way.
        v: Examples ``(B, V)``.
        betas: Inverse temperatures from 0 to 1, ascending.
        generator: Source of all randomness.

    Returns:
        Nats, float64 ``(B,)``.
    """
    log_w = torch.zeros(len(v), dtype=torch.float64, device=v.device)
    field = family.field(v)
    for beta in betas.flip(0)[:-1].tolist():
        # The forward move at β is in detailed balance with the one made here: their ratio is that
        # of the densities at β.
        log_w += family.log_density(v, field, beta).double()
        v = family.sweep(field, beta, generator)
        field = family.field(v)
        log_w -= family.log_density(v, field, beta).double()
    return log_w + family.log_density(v, field, 0.0).double() - family.log_z0()
