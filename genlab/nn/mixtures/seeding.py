"""Seeding of clusters: k-means++ and one assignment."""

import torch
from torch import Tensor

__all__ = ["far_points", "hard_clusters"]

CHANCE = 1e-3
"""Responsibility that each component begins with for all of the data."""


def far_points(v: Tensor, n: int, generator: torch.Generator | None = None) -> Tensor:
    """Indices of n points, each drawn in proportion to its squared distance from those before.

    k-means++ (Arthur and Vassilvitskii 2007). Where all points are taken, they are taken again.

    Args:
        v: Points ``(N, D)``.
        n: How many.
        generator: Source of the draws.
    """
    squares = v.square().sum(1)
    chosen = [int(torch.randint(len(v), (), generator=generator, device=v.device))]
    nearest = torch.full_like(squares, torch.inf)
    for _ in range(n - 1):
        last = chosen[-1]
        distance = squares + squares[last] - 2 * (v @ v[last])
        nearest = torch.minimum(nearest, distance.clamp_(min=0))
        nearest[last] = 0
        odds = nearest if float(nearest.sum()) > 0 else torch.ones_like(nearest)
        chosen.append(int(torch.multinomial(odds, 1, generator=generator)))
    return torch.tensor(chosen, device=v.device)


def hard_clusters(
    v: Tensor, t: Tensor, n: int, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Weights ``(n,)`` and mean statistics ``(n, size)`` of clusters around `far_points`.

    Each cluster has a trace of all the data, so that none begins without width.

    Args:
        v: Points ``(N, D)``.
        t: Their sufficient statistics ``(N, size)``.
        n: Number of clusters.
        generator: Source of the draws.
    """
    seeds = v[far_points(v, n, generator)]
    nearest = (v @ seeds.T - 0.5 * seeds.square().sum(1)).argmax(1)
    r = torch.nn.functional.one_hot(nearest, n).to(v.dtype)
    r = (1 - CHANCE) * r + CHANCE / n
    return r.mean(0), r.T @ t / len(v)
