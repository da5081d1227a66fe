"""Verdict of a race: which finalist beats which, how certainly, and what more time would tell.

Each finalist has a value for each of its seeds. Two of them are compared by Welch's t-test of the
means, whose variance is at least what the metric's own noise (bootstrap over samples) explains: few
seeds may lie close together by chance. Since the best was chosen by looking, all pairs of finalists
are corrected for (Holm 1979). A race may be looked at again, with more seeds: the first look spends
0.03 of the 0.05, the second 0.01, each later one half of the one before. So the rate of false
alarms is at most 0.05 however often one looks; tests/racing/test_verdict.py simulates it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import combinations
from statistics import fmean, variance
from typing import Any

from genlab.racing.student import quantile, two_sided

__all__ = ["Finalist", "Pair", "Verdict", "detectable", "judge", "welch"]

FIRST, SECOND = 0.03, 0.01
POWER = 0.8


def alpha_of(look: int) -> float:
    """False alarms that a look at the finalists may raise.

    Example:
        >>> [alpha_of(look) for look in (1, 2, 3)], round(sum(map(alpha_of, range(1, 60))), 12)
        ([0.03, 0.01, 0.005], 0.05)
    """
    return FIRST if look == 1 else SECOND / 2 ** (look - 2)


@dataclass(frozen=True)
class Finalist:
    """A candidate that trained to the end.

    Args:
        name: The candidate.
        values: The objective of each seed, lower is better.
        noises: Its standard deviation over samples of the metric, by bootstrap; 0 where the same
            images measure everyone.
        items: Mean over the seeds of what each of the same test images gives; empty without.
    """

    name: str
    values: tuple[float, ...]
    noises: tuple[float, ...] = ()
    items: tuple[float, ...] = ()

    @property
    def mean(self) -> float:
        return fmean(self.values)

    @property
    def variance(self) -> float:
        """Of one value: that over seeds, or that of the metric alone where that is more."""
        seeds = variance(self.values) if len(self.values) > 1 else math.nan
        noise = fmean(n * n for n in self.noises) if self.noises else 0.0
        return max(seeds, noise) if not math.isnan(seeds) else math.nan


@dataclass(frozen=True)
class Pair:
    """Comparison of two finalists.

    Args:
        better: The one with the lower mean.
        worse: The other one.
        difference: Of the means, at least 0.
        p: Two-sided, corrected for all pairs; None where a finalist has one value alone.
        told: Whether p is small enough for this look.
    """

    better: str
    worse: str
    difference: float
    p: float | None
    told: bool


@dataclass(frozen=True)
class Verdict:
    """Result of a race.

    Args:
        winner: The finalist with the best mean.
        pairs: It against each other finalist, the nearest first.
        told: Whether it beats all of them.
        more_seeds: Further seeds of each finalist that were asked about.
        would_tell: Difference that those would tell, as a share of the winner's mean.
    """

    winner: str
    pairs: tuple[Pair, ...]
    told: bool
    more_seeds: int = 0
    would_tell: float | None = None
    means: Mapping[str, float] = field(default_factory=dict)
    spreads: Mapping[str, float] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self)


def welch(a: Finalist, b: Finalist) -> tuple[float, float]:
    """Standard error of the difference of the means, and its degrees of freedom (Welch 1947).

    Where the same test images measured both, what the choice of images adds is part of it; their
    number is so large that it costs no degree of freedom.
    """
    parts = [(f.variance / len(f.values), len(f.values) - 1) for f in (a, b)]
    seeds = sum(part for part, _ in parts)
    pairs = [x - y for x, y in zip(a.items, b.items, strict=True)] if a.items and b.items else []
    images = variance(pairs) / len(pairs) if len(pairs) > 1 else 0.0
    total = seeds + images
    below = sum(part * part / df for part, df in parts)
    least = float(min(df for _, df in parts))
    return math.sqrt(total), max(total * total / below, least) if below > 0 else least


def p_value(a: Finalist, b: Finalist) -> float | None:
    """Two-sided p of equal means; None where a finalist has one value alone."""
    if min(len(a.values), len(b.values)) < 2:
        return None
    error, df = welch(a, b)
    gap = abs(a.mean - b.mean)
    if error == 0:
        return 1.0 if gap == 0 else 0.0
    return two_sided(gap / error, df)


def detectable(a: Finalist, b: Finalist, seeds: int, pairs: int = 1, look: int = 1) -> float | None:
    """The difference that so many seeds of each would tell with a probability of 80 %.

    Args:
        a: One finalist.
        b: The other one.
        seeds: Seeds of each.
        pairs: Pairs that are compared, for which alpha is divided.
        look: Number of the look.
    """
    if min(len(a.values), len(b.values)) < 2 or seeds < 2:
        return None
    df = 2 * (seeds - 1)
    error = math.sqrt((a.variance + b.variance) / seeds)
    return (quantile(1 - alpha_of(look) / (2 * pairs), df) + quantile(POWER, df)) * error


def holm(ps: Sequence[float]) -> list[float]:
    """Adjusted p-values of several tests (Holm 1979).

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(ps)), key=lambda i: ps[i])
    adjusted, highest = [0.0] * len(ps), 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (len(ps) - rank) * ps[i]))
        adjusted[i] = highest
    return adjusted


def judge(finalists: Sequence[Finalist], more_seeds: int = 0, look: int = 1) -> Verdict:
    """The verdict on the finalists.

    Args:
        finalists: At least one, each with at least one value.
        more_seeds: Further seeds of each to ask about; 0 asks for as many again.
        look: Number of the look: how often they were judged before, and one.

    Example:
        >>> a, b = Finalist("a", (1.0, 1.1, 0.9)), Finalist("b", (2.0, 2.1, 1.9))
        >>> verdict = judge([b, a])
        >>> verdict.winner, verdict.told, verdict.pairs[0].p < 0.001
        ('a', True, True)
    """
    ranked = sorted(finalists, key=lambda f: f.mean)
    winner, count = ranked[0], len(ranked) * (len(ranked) - 1) // 2
    # Every pair, corrected together
    tested = {(x.name, y.name): p_value(x, y) for x, y in combinations(ranked, 2)}
    known = {pair: p for pair, p in tested.items() if p is not None}
    adjusted = dict(zip(known, holm(list(known.values())), strict=True))
    pairs = tuple(
        Pair(
            winner.name,
            other.name,
            other.mean - winner.mean,
            p := adjusted.get((winner.name, other.name)),
            p is not None and p <= alpha_of(look),
        )
        for other in ranked[1:]
    )
    # What more would tell
    seeds = min(len(f.values) for f in ranked)
    more = more_seeds or seeds
    told_by_more = [
        detectable(winner, other, seeds + more, count, look + 1) for other in ranked[1:]
    ]
    would = [value for value in told_by_more if value is not None]
    share = max(would) / abs(winner.mean) if would and winner.mean else None
    spreads = {f.name: math.sqrt(f.variance) for f in ranked if len(f.values) > 1}
    means = {f.name: f.mean for f in ranked}
    told = bool(pairs) and all(pair.told for pair in pairs)
    return Verdict(winner.name, pairs, told, more, share, means, spreads)
