"""Words of a verdict: two sentences that a person reads, and what more time would tell."""

import math
from collections.abc import Sequence

from genlab.racing.allocation import makespan
from genlab.racing.fitting_data import Facts
from genlab.racing.race_settings import RaceRecord
from genlab.racing.verdict import Pair, Verdict

__all__ = ["cost_of_more", "number", "sentences", "with_spread"]


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


def with_spread(value: float, spread: float) -> str:
    """A value and its standard deviation, of which two digits count.

    Example:
        >>> with_spread(14.5678, 1.786), with_spread(0.7143, 0.0814), with_spread(1234.5, 210)
        ('14.6 ± 1.8', '0.714 ± 0.081', '1,234 ± 210')
    """
    if not (math.isfinite(value) and math.isfinite(spread)) or spread <= 0:
        return f"{number(value)} ± {number(spread)}"
    decimals = max(0, 1 - math.floor(math.log10(spread)))
    return f"{value:,.{decimals}f} ± {spread:,.{decimals}f}"


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
        mean = abs(verdict.means[name])
        return number(mean) if spread is None else with_spread(mean, spread)

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
    time = max(1, math.ceil(more / 60))
    cost = f"{more:,.0f} images" if unit == "images" else f"{time} minute{'s' * (time > 1)}"
    more_seeds = verdict.more_seeds
    return (
        f"{verdict.winner} and {names} cannot be told apart within this budget (p = {min(ps):.2g}, "
        f"{more_seeds} seeds each); another {cost} ({more_seeds} more seeds of each) "
        f"would tell differences of {100 * verdict.would_tell:.2g} %"
    )
