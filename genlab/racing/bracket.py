"""Bracket of successive halving: how many candidates each rung has, and who goes on.

Jamieson and Talwalkar 2016, Non-stochastic Best Arm Identification and Hyperparameter Optimization:
all candidates get a small amount of training, the best 1/eta of them eta times as much, and so on
until the finalists are left. An amount is cumulative, since a run goes on from its checkpoint.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Rung", "amounts", "promoted", "sizes"]


@dataclass(frozen=True)
class Rung:
    """A rung of the bracket.

    Args:
        number: From 0.
        amount: Training of each candidate since its beginning: seconds, or images seen.
        size: Candidates that train to it.
        keep: Candidates that go on; all of the last rung's are finalists.
    """

    number: int
    amount: float
    size: int
    keep: int


def sizes(n: int, eta: int, finalists: int) -> tuple[int, ...]:
    """Candidates of each rung.

    Example:
        >>> sizes(8, 3, 2), sizes(9, 3, 1), sizes(2, 3, 2)
        ((8, 3, 2), (9, 3, 1), (2,))
    """
    found = [n]
    while found[-1] > finalists:
        found.append(max(finalists, math.ceil(found[-1] / eta)))
    return tuple(found)


def amounts(first: float, eta: float, rungs: int) -> tuple[float, ...]:
    """Cumulative training of each rung, a geometric row.

    Example:
        >>> amounts(5.0, 3, 3)
        (5.0, 15.0, 45.0)
    """
    return tuple(first * eta**k for k in range(rungs))


def promoted(scores: Mapping[str, float], keep: int) -> tuple[list[str], list[str]]:
    """Who goes on and who is out, each the best first; equal scores keep the candidates' order.

    Args:
        scores: The objective by candidate, lower is better; one that is not finite never goes on.
        keep: How many go on at most.

    Example:
        >>> promoted({"a": 3.0, "b": 1.0, "c": 2.0, "d": float("nan")}, 2)
        (['b', 'c'], ['a', 'd'])
    """
    finite = [name for name in scores if math.isfinite(scores[name])]
    ranked = sorted(finite, key=lambda name: scores[name])
    rest = [name for name in scores if name not in finite]
    return ranked[:keep], ranked[keep:] + rest
