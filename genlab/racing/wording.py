"""Words of a verdict: two sentences that a person reads, and what more time would tell."""

import math
from collections.abc import Sequence

from genlab.racing.allocation import makespan
from genlab.racing.fitting_data import Facts
from genlab.racing.race_settings import RaceRecord
from genlab.racing.verdict import Pair, Verdict

__all__ = ["cost_of_more", "number", "sentences"]


def number(value: float) -> str:
    """A value with three or four digits that count.

    Example:
        >>> number(12.3456), number(12345), number(0.00123)
        ('12.35', '12,345', '0.00123')
    """
    if not math.isfinite(value):
        return str(value)
    if value == int(value) or abs(value) >= 10_000:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def cost_of_more(
    verdict: Verdict, amount: float, overheads: Sequence[float], record: RaceRecord
) -> float:
    """What the further seeds of all finalists would take: seconds of the machine, or images."""
    if record.budget.unit == "images":
        return amount * verdict.more_seeds * len(verdict.means)
    jobs = [amount + cost for cost in overheads for _ in range(verdict.more_seeds)]
    return makespan(jobs, record.workers)


def sentences(
    verdict: Verdict, facts: Facts, record: RaceRecord, amount: float, more: float
) -> list[str]:
    """The verdict in two sentences: who is best, and whether that can be trusted."""
    unit = record.budget.unit

    def value(name: str) -> str:
        spread = verdict.spreads.get(name)
        mean = number(abs(verdict.means[name]))
        return mean if spread is None else f"{mean} ± {number(spread)}"

    each = f"{number(amount)} {unit if unit == 'images' else 's of training'} each"
    first = (
        f"Best of {len(record.candidates)} candidates is {verdict.winner}: "
        f"{facts.name} {value(verdict.winner)} after {each}."
    )
    # Whether it can be trusted
    if not verdict.pairs:
        return [first, "Nobody else came to the end, so it beats no one that was measured so far."]
    told = [pair for pair in verdict.pairs if pair.told]
    open_ = [pair for pair in verdict.pairs if not pair.told]
    parts = [beats(pair, value) for pair in told]
    if open_:
        parts.append(not_told(verdict, open_, value, unit, more))
    return [first, "; ".join(parts) + "."]


def beats(pair: Pair, value: object) -> str:
    """That one beats another."""
    assert callable(value)
    p = "p < 0.001" if pair.p is not None and pair.p < 0.001 else f"p = {pair.p:.2g}"
    return f"{pair.better} beats {pair.worse} ({value(pair.worse)}), {p}"


def not_told(verdict: Verdict, pairs: Sequence[Pair], value: object, unit: str, more: float) -> str:
    """That some cannot be told apart, and what would tell them."""
    assert callable(value)
    names = ", ".join(f"{pair.worse} ({value(pair.worse)})" for pair in pairs)
    ps = [pair.p for pair in pairs if pair.p is not None]
    if not ps or verdict.would_tell is None:
        return (
            f"{verdict.winner} and {names} cannot be told apart: one seed of each says nothing of "
            f"another; seeds=3 would"
        )
    cost = f"{more:,.0f} images" if unit == "images" else f"{max(1, math.ceil(more / 60))} minutes"
    more_seeds = verdict.more_seeds
    return (
        f"{verdict.winner} and {names} cannot be told apart within this budget (p = {min(ps):.2g}, "
        f"{more_seeds} seeds each); another {cost} ({more_seeds} more seeds of each) "
        f"would tell differences of {100 * verdict.would_tell:.2g} %"
    )
