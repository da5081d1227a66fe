"""Runs that differ in the seed alone, as one: their mean, its spread, and of how many."""

import json
from collections.abc import Sequence
from dataclasses import replace
from statistics import mean, stdev

from genlab.comparison.flat import shown_value
from genlab.comparison.leaderboard import FACTS, Leaderboard, Measured, RunRecord

__all__ = ["named", "over_seeds"]

SEED = ("seed=", "+seed=", "++seed=")


def over_seeds(board: Leaderboard) -> Leaderboard:
    """The leaderboard with one row a configuration and way of sampling: the mean of runs that
    differ in the seed."""
    groups: dict[tuple[str, str], list[RunRecord]] = {}
    for row in board.rows:
        way = json.dumps(row.sampling, sort_keys=True)
        groups.setdefault((row.setting or str(row.path), way), []).append(row)
    notes = list(board.notes)
    rows = [merge_seeds(rows, notes) for rows in groups.values()]
    return Leaderboard(rows, board.damaged, notes)


def merge_seeds(rows: Sequence[RunRecord], notes: list[str]) -> RunRecord:
    """Rows of one setting as one; of runs of one seed, the newest that was measured counts."""
    # One run a seed
    by_seed: dict[str, RunRecord] = {}
    for row in rows:
        seed = str(row.path) if row.facts["seed"] is None else str(row.facts["seed"])
        before = by_seed.get(seed)
        if before is None or row.metrics or not before.metrics:
            by_seed[seed] = row
    rows = [by_seed[seed] for seed in sorted(by_seed, key=lambda seed: (len(seed), seed))]
    first = rows[0]
    if len(rows) == 1:
        return first
    # Facts: the mean of numbers, all that was said
    facts = dict(first.facts)
    facts["seed"] = ",".join(str(row.facts["seed"]) for row in rows)
    for key in (*FACTS, "best", "best_images"):
        numbers = [row.facts[key] for row in rows if row.facts[key] is not None]
        facts[key] = mean(numbers) if numbers else None
    for key in ("status", "device", "best_metric"):
        said = dict.fromkeys(str(row.facts[key]) for row in rows if row.facts[key] is not None)
        facts[key] = " / ".join(said) or None
    # Metrics: the mean of those that compare
    name = f"{first.name.removesuffix(first.suffix)} +{len(rows) - 1}{first.suffix}"
    metrics = {}
    for key in dict.fromkeys(key for row in rows for key in row.metrics):
        found = [row.metrics[key] for row in rows if key in row.metrics]
        metrics[key] = average(found)
        if metrics[key].runs < len(found):
            notes.append(
                f"{name}: {key} is of {metrics[key].runs} of {len(found)} runs; the others were "
                "measured otherwise"
            )
    return replace(first, name=name, facts=facts, metrics=metrics, members=tuple(rows))


def average(found: Sequence[Measured]) -> Measured:
    """The mean over seeds of the largest set of numbers that compare with each other."""
    alike: dict[tuple[object, str], list[Measured]] = {}
    for measured in found:
        alike.setdefault((measured.identity, measured.kind), []).append(measured)
    most = max(alike.values(), key=len)
    numbers = [measured.value for measured in most]
    return replace(
        most[0],
        value=mean(numbers),
        std=stdev(numbers) if len(numbers) > 1 else None,
        runs=len(numbers),
    )


def named(board: Leaderboard) -> Leaderboard:
    """The leaderboard with jobs of sweeps called by what they set, not by the hash of it."""
    # The rows of each sweep
    sweeps: dict[str, list[RunRecord]] = {}
    for row in board.rows:
        if row.sweep is not None:
            sweeps.setdefault(str(row.path.parent), []).append(row)
    names: dict[int, str] = {}
    for rows in sweeps.values():
        # What each job sets that not all set
        several = len({row.path for row in rows}) > 1
        common = set.intersection(*(set(row.overrides) for row in rows)) if several else set()
        words = [
            " ".join(
                short(word)
                for word in row.overrides
                if word not in common and not word.startswith(SEED)
            )
            for row in rows
        ]
        # A name for each: the job's hash only where it is needed
        ways = [(word, row.suffix) for row, word in zip(rows, words, strict=True)]
        for row, word in zip(rows, words, strict=True):
            job = row.path.name
            if not word:
                bare = row.name.removesuffix(row.suffix)
                label = job if row.members == () else bare.rpartition("/")[2]
            else:
                label = word if ways.count((word, row.suffix)) == 1 else f"{word} ({job})"
            label += row.suffix
            names[id(row)] = f"{row.sweep}: {label}" if row.sweep else label
    rows = [replace(row, name=names.get(id(row), row.name)) for row in board.rows]
    return replace(board, rows=rows)


def short(override: str) -> str:
    """An override with a number in it shortened.

    Example:
        >>> short("optimizer.lr=0.00231551737"), short("model=vae")
        ('optimizer.lr=0.002316', 'model=vae')
    """
    key, equals, value = override.partition("=")
    try:
        int(value)
    except ValueError:
        try:
            return f"{key}={shown_value(float(value))}"
        except ValueError:
            return f"{key}{equals}{value}"
    return override
