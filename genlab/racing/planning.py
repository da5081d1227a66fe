"""Plan of a race: which candidates can finish a rung, and how long the rungs are."""

import math
from collections.abc import Mapping

from genlab.errors import ConfigError
from genlab.racing.allocation import Profile, by_images, by_seconds, images_needed, misfit, needed
from genlab.racing.bracket import Rung
from genlab.racing.race_settings import Budget, RaceRecord

__all__ = ["check_profile_fits", "plan_images", "plan_seconds"]


def check_profile_fits(record: RaceRecord, n: int) -> None:
    """Refuses a budget that ends before the first steps of n candidates are over.

    Raises:
        ConfigError: It does; what their rungs take is known only after these steps.
    """
    steps = record.config.profile * math.ceil(n / record.workers)
    if record.budget.unit == "seconds" and record.budget.amount < steps:
        raise ConfigError(
            f"budget={record.budget.text}: too small: the first steps of {n} candidates alone take "
            f"{Budget(steps, 'seconds').text}; a budget of minutes is meant, or fewer candidates "
            "(only=A,B)"
        )


def plan_images(record: RaceRecord, names: list[str]) -> list[Rung]:
    """The bracket of a budget in images: the same whatever the machine.

    Raises:
        ConfigError: A first rung would show fewer images than say something.
    """
    least, shape = record.config.least, record.shape
    rungs = by_images(int(record.budget.amount), len(names), shape)
    first = rungs[0].amount if rungs else 0
    if first < least:
        enough = Budget(images_needed(least, len(names), shape), "images")
        raise ConfigError(
            f"budget={record.budget.text}: too small for one rung: each of {len(names)} candidates "
            f"would see {first:,.0f} images, {least:,} say something; budget={enough.text} would "
            "do, or fewer candidates (only=A,B) or seeds"
        )
    return rungs


def plan_seconds(
    record: RaceRecord, profiles: Mapping[str, Profile], left: float, memory: float | None
) -> tuple[list[Rung], dict[str, str]]:
    """The bracket of a budget in seconds, and who is left out of it, why.

    One after the other goes the one that is farthest from finishing a rung: the others' rungs grow.

    Args:
        record: The race.
        profiles: What was seen of each candidate.
        left: Seconds that are left of the budget.
        memory: MiB that a worker has.

    Raises:
        ConfigError: Fewer than two candidates can finish a rung; says what would do.
    """
    config, shape = record.config, record.shape
    least = config.least
    dropped: dict[str, str] = {}
    kept = dict(profiles)
    while len(kept) > 1:
        rungs = by_seconds(left, [p.overhead for p in kept.values()], shape)
        first = rungs[0].amount if rungs else 0.0
        wrong = {n: why for n, p in kept.items() if (why := misfit(p, first, least, memory))}
        if not wrong:
            return rungs, dropped
        farthest = max(wrong, key=lambda name: least_rung(kept[name], least))
        dropped[farthest] = wrong[farthest]
        del kept[farthest]
    # The two quickest say what would do
    quickest = sorted(profiles.values(), key=lambda p: least_rung(p, least))[:2]
    first = max(least_rung(p, least) for p in quickest)
    spent = record.budget.amount - left
    enough = spent + 1.1 * needed(first, [p.overhead for p in quickest], shape)
    reasons = "; ".join(f"{name}: {why}" for name, why in dropped.items())
    raise ConfigError(
        f"budget={record.budget.text}: too small for one rung of two candidates ({reasons}); "
        f"budget={Budget(enough + 1, 'seconds').text} would do for the two quickest"
    )


def least_rung(profile: Profile, least: int) -> float:
    """Seconds of the shortest first rung that a candidate finishes."""
    return max(least / max(profile.images_per_second, 1e-9), profile.overhead)
