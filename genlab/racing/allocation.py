"""Allocation of a budget: the length of each rung, so that the whole race fits.

Under a budget in seconds the wall time of a rung is that of its jobs over the workers, the longest
first (Graham 1969: within 4/3 of the best). Each job costs its training and an overhead: starting,
validating, saving, drawing and measuring. Under a budget in images only training counts.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

from genlab.racing.bracket import Rung, amounts, sizes

__all__ = [
    "Profile",
    "Shape",
    "by_images",
    "by_seconds",
    "images_needed",
    "makespan",
    "misfit",
    "needed",
    "regrown",
]


@dataclass(frozen=True)
class Shape:
    """What decides how a budget is spent.

    Args:
        eta: Factor from rung to rung.
        finalists: Candidates that are told apart in the end.
        seeds: Runs of each finalist, the one of the rungs included.
        workers: Jobs at a time.
    """

    eta: int = 3
    finalists: int = 2
    seeds: int = 3
    workers: int = 1

    @property
    def repeats(self) -> int:
        """Runs that the finalists make anew, each."""
        return self.seeds - 1


@dataclass(frozen=True)
class Profile:
    """What was seen of a candidate in its first steps.

    Args:
        images_per_second: Of training.
        overhead: Seconds of a job beside its training.
        memory: MiB of its process at most, None where that is not known.
        parameters: Of the model.
    """

    images_per_second: float
    overhead: float
    memory: float | None = None
    parameters: int = 0


def makespan(jobs: Sequence[float], workers: int) -> float:
    """Seconds until all jobs are done, the longest started first.

    Example:
        >>> makespan([3, 3, 2, 2, 2], 2)
        7
    """
    ends: list[float] = [0] * workers
    for seconds in sorted(jobs, reverse=True):
        heapq.heapreplace(ends, ends[0] + seconds)
    return max(ends)


def wall(
    counts: Sequence[int],
    totals: Sequence[float],
    overheads: Sequence[float],
    shape: Shape,
    done: float = 0.0,
) -> float:
    """Wall time of rungs and of the finalists' repetitions; the slowest are taken to survive.

    Args:
        counts: Candidates of each rung to come.
        totals: Cumulative training seconds of each.
        overheads: Of the candidates of the first of them.
        shape: How the budget is spent.
        done: Training seconds that each candidate has behind it.
    """
    worst = sorted(overheads, reverse=True)
    spent = 0.0
    for count, total in zip(counts, totals, strict=True):
        spent += makespan([total - done + cost for cost in worst[:count]], shape.workers)
        done = total
    last = [done + cost for cost in worst[: counts[-1]] for _ in range(shape.repeats)]
    return spent + (makespan(last, shape.workers) if last else 0.0)


def by_seconds(budget: float, overheads: Sequence[float], shape: Shape) -> list[Rung]:
    """The rungs that fill so many seconds; none where the overheads alone take longer.

    Example:
        >>> rungs = by_seconds(92, [1.0] * 4, Shape(eta=2, finalists=2, seeds=1))
        >>> [(round(rung.amount, 3), rung.size, rung.keep) for rung in rungs]
        [(14.333, 4, 2), (28.667, 2, 2)]
    """
    counts = sizes(len(overheads), shape.eta, shape.finalists)

    def cost(first: float) -> float:
        return wall(counts, amounts(first, shape.eta, len(counts)), overheads, shape)

    if cost(0.0) >= budget:
        return []
    low, high = 0.0, budget
    for _ in range(80):  # the cost rises with the first rung
        middle = (low + high) / 2
        low, high = (middle, high) if cost(middle) <= budget else (low, middle)
    return rungs_of(counts, amounts(low, shape.eta, len(counts)))


def by_images(budget: int, n: int, shape: Shape) -> list[Rung]:
    """The rungs whose training shows so many images, all runs together, at most.

    Example:
        >>> [(rung.amount, rung.size) for rung in by_images(800, 4, Shape(2, 2, 1))]
        [(133, 4), (266, 2)]
    """
    counts = sizes(n, shape.eta, shape.finalists)
    first = budget // images_needed(1, n, shape)
    return rungs_of(counts, amounts(first, shape.eta, len(counts))) if first else []


def images_needed(first: int, n: int, shape: Shape) -> int:
    """Images of a race of n candidates whose first rung shows so many to each.

    Example:
        >>> images_needed(133, 4, Shape(2, 2, 1))
        798
    """
    counts = sizes(n, shape.eta, shape.finalists)
    totals = [first * shape.eta**k for k in range(len(counts))]
    more = (total - before for total, before in zip(totals, [0, *totals], strict=False))
    rungs = sum(count * images for count, images in zip(counts, more, strict=True))
    return rungs + counts[-1] * shape.repeats * totals[-1]


def needed(first: float, overheads: Sequence[float], shape: Shape) -> float:
    """Seconds of a race whose first rung trains for so long."""
    counts = sizes(len(overheads), shape.eta, shape.finalists)
    return wall(counts, amounts(first, shape.eta, len(counts)), overheads, shape)


def rungs_of(counts: Sequence[int], totals: Sequence[float]) -> list[Rung]:
    """The bracket of these sizes and amounts."""
    keep = (*counts[1:], counts[-1])
    return [Rung(k, *row) for k, row in enumerate(zip(totals, counts, keep, strict=True))]


def misfit(profile: Profile, first: float, least: int, memory: float | None) -> str | None:
    """Why a candidate cannot finish a first rung of so many seconds; None if it can.

    Args:
        profile: What was seen of it.
        first: Seconds of the first rung.
        least: Images that a rung must show to say anything.
        memory: MiB that a worker has, None where that is not known.
    """
    if memory is not None and profile.memory is not None and profile.memory > memory:
        return f"takes {profile.memory:,.0f} MiB of memory, a worker has {memory:,.0f}"
    images = profile.images_per_second * first
    if images < least:
        return (
            f"would see {images:,.0f} images in a rung of {first:.3g} s, "
            f"at {profile.images_per_second:,.0f} a second; {least:,} say something"
        )
    if profile.overhead > first:
        return (
            f"measuring it takes {profile.overhead:.3g} s, longer than training it for a rung "
            f"of {first:.3g} s"
        )
    return None


def regrown(
    rungs: Sequence[Rung], number: int, left: float, overheads: Sequence[float], shape: Shape
) -> list[Rung]:
    """The rungs with those from a number on stretched or shrunk to fill the time that is left.

    The first rungs are history; the others keep their sizes, and one factor from rung to rung.

    Args:
        rungs: The bracket.
        number: The first rung to come, at least 1.
        left: Seconds that are left.
        overheads: Of the candidates that are left.
        shape: How the budget is spent.
    """
    done = rungs[number - 1].amount
    counts = [min(rung.size, len(overheads)) for rung in rungs[number:]]

    def totals(growth: float) -> list[float]:
        return [done * growth ** (k + 1) for k in range(len(counts))]

    low, high = 1.0, 2.0 * shape.eta
    for _ in range(60):
        middle = (low + high) / 2
        fits = wall(counts, totals(middle), overheads, shape, done) <= left
        low, high = (middle, high) if fits else (low, middle)
    new = rungs_of(counts, totals(low))
    return [*rungs[:number], *(Rung(number + r.number, r.amount, r.size, r.keep) for r in new)]
