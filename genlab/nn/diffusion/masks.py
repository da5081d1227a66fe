"""Random orders of pixels, and how many of them a step reveals."""

import math

import torch
from torch import Tensor

from genlab.row_streams import uniform

__all__ = ["first_in_random_order", "random_order", "reveals"]


def first_in_random_order(k: Tensor, n: int, generator: torch.Generator | None = None) -> Tensor:
    """Uniform sets of k of n entries, as masks ``(B, n)``.

    Args:
        k: Sizes ``(B,)``.
        n: Number of entries.
        generator: Source of the sets.
    """
    keys = torch.rand(len(k), n, device=k.device, generator=generator)
    return keys.argsort(1).argsort(1) < k[:, None]


def random_order(n: int, wanted: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Random places of the wanted pixels in an order of their own, ``(n, H, W)``; others are -1.

    Args:
        n: Number of orders.
        wanted: Mask ``(H, W)``.
        generator: Source of the orders.
    """
    keys = uniform((n, *wanted.shape), generator, device=wanted.device)
    keys = torch.where(wanted, keys, torch.inf).flatten(1)
    place = keys.argsort(1).argsort(1).view(n, *wanted.shape)
    return torch.where(wanted, place, -1)


def reveals(n: int, steps: int) -> list[tuple[int, int]]:
    """Numbers of n pixels that are known before and after each step, few being revealed at first.

    A cosine schedule; each step reveals a pixel at least, so as many steps as pixels are one each.

    Example:
        >>> reveals(4, 4), reveals(100, 2)
        ([(0, 1), (1, 2), (2, 3), (3, 4)], [(0, 29), (29, 100)])
    """
    ends = [round(n * (1 - math.cos(math.pi / 2 * (i + 1) / steps))) for i in range(steps)]
    for i in range(steps):  # at least one each, and one left for each of those to come
        least = ends[i - 1] + 1 if i else 1
        ends[i] = min(max(ends[i], least), n - (steps - 1 - i))
    return list(zip([0, *ends[:-1]], ends, strict=True)) if n else []
