"""Parallel tempering: replicas of a chain at several temperatures that exchange their states."""

import torch
from torch import Tensor

from genlab.nn.energy.tempered_rbm import TemperedRBM
from genlab.row_streams import uniform

__all__ = ["exchange", "swap_odds"]


def swap_odds(family: TemperedRBM, v: Tensor, betas: Tensor, first: int) -> Tensor:
    """Log of the odds of exchanging the replicas of neighbouring temperatures, ``(pairs, N)``.

    The exchange of v_i and v_j keeps the product of ``p*_βi`` and ``p*_βj`` when it is accepted
    with probability min(1, exp of this) (Swendsen and Wang 1986; Desjardins et al. 2010). The
    hidden units are summed out, which accepts more often than their joint energies would.

    Args:
        family: The machine and its way from independent units.
        v: States ``(R, N, V)`` of N chains at R temperatures.
        betas: Inverse temperatures ``(R,)``.
        first: 0 for the pairs (0, 1), (2, 3), ...; 1 for (1, 2), (3, 4), ...
    """
    fields = [family.field(state) for state in v]

    def log_p(state: int, beta: int) -> Tensor:
        return family.log_density(v[state], fields[state], float(betas[beta]))

    pairs = range(first, len(v) - 1, 2)
    odds = [log_p(i + 1, i) + log_p(i, i + 1) - log_p(i, i) - log_p(i + 1, i + 1) for i in pairs]
    return torch.stack(odds) if odds else v.new_zeros(0, v.shape[1])


@torch.no_grad()
def exchange(
    family: TemperedRBM,
    v: Tensor,
    betas: Tensor,
    first: int,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """States after one exchange of every other pair of neighbours, and the share that did.

    Args:
        family: The machine and its way from independent units.
        v: States ``(R, N, V)``.
        betas: Inverse temperatures ``(R,)``.
        first: See `swap_odds`; it should alternate.
        generator: Source of the decisions.
    """
    odds = swap_odds(family, v, betas, first)
    if not len(odds):
        return v, odds.new_ones(())
    accepted = uniform(odds.shape, generator, device=v.device).log() < odds
    v = v.clone()
    for swap, i in zip(accepted, range(first, len(v) - 1, 2), strict=True):
        low = torch.where(swap[:, None], v[i + 1], v[i])
        v[i + 1] = torch.where(swap[:, None], v[i], v[i + 1])
        v[i] = low
    return v, accepted.to(odds.dtype).mean()
