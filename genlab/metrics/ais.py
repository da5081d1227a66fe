"""Annealed importance sampling: the log partition function of an energy model (Neal 2001)."""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

from genlab.errors import DataError
from genlab.nn.energy.log_partition import LogPartition, estimated

__all__ = ["LogPartition", "annealed_importance_sampling"]


def annealed_importance_sampling(
    log_density: Callable[[Tensor, float], Tensor],
    transition: Callable[[Tensor, float], Tensor],
    start: Tensor,
    log_z0: float,
    betas: Tensor,
) -> LogPartition:
    """Estimates log Z at beta = 1 from the known log Z at beta = 0.

    Args:
        log_density: ``(x, beta) -> (chains,)``, the unnormalized log-density of the distribution
            at inverse temperature beta, between the base at 0 and the model at 1.
        transition: ``(x, beta) -> x``, a Markov step that leaves that distribution invariant.
        start: Independent draws from the base, ``(chains, ...)``.
        log_z0: log Z of the base, exactly.
        betas: Ascending from 0 to 1, ``(temperatures + 1,)``.

    Returns:
        The estimate, unbiased in Z (not in log Z), with an interval of 3 standard errors.

    Raises:
        DataError: The inverse temperatures do not ascend from 0 to 1, or fewer than two chains.
    """
    ascending = len(betas) > 1 and bool((betas.diff() > 0).all())
    if not ascending or betas[0] != 0 or betas[-1] != 1:
        raise DataError("annealed importance sampling needs betas that ascend from 0 to 1")
    chains = len(start)
    if chains < 2:
        raise DataError(f"annealed importance sampling needs at least 2 chains, got {chains}")
    x = start
    log_w = torch.zeros(chains, dtype=torch.float64)
    steps = betas.tolist()
    with torch.no_grad():
        for before, beta in pairwise(steps):
            log_w += (log_density(x, beta) - log_density(x, before)).to("cpu", torch.float64)
            x = transition(x, beta)
    return estimated(log_w, log_z0, len(steps) - 1)
