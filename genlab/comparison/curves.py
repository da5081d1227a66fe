"""Learning curves of runs, and the best value that each had reached by a time."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, stdev

from genlab.comparison.leaderboard import RunRecord
from genlab.runs.history import read_metrics

__all__ = ["SLACK", "Curve", "History", "Timed", "best_by", "moments", "over_time", "read_history"]

SKIPPED = ("images_seen", "seconds", "time", "epoch", "lr")
MINUTES = (1, 3, 10, 30, 90, 300, 1440)
"""The times that are compared, as far as runs took so long."""

SLACK = 1.05
"""A reading so much later still counts: the last one of a run of 3 minutes comes after them."""


@dataclass
class Curve:
    """A metric of a run: images seen, seconds and value of each reading."""

    images: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def thinned(self, most: int) -> "Curve":
        """At most so many readings, the first and the last among them."""
        n = len(self.values)
        if n <= most:
            return self
        chosen = sorted({round(i * (n - 1) / (most - 1)) for i in range(most)})
        return Curve(
            [self.images[i] for i in chosen],
            [self.seconds[i] for i in chosen],
            [self.values[i] for i in chosen],
        )


@dataclass
class History:
    """All curves of a run.

    Args:
        curves: By metric.
        clock: Images seen and seconds of all lines of training, ascending.
        notes: Damaged lines.
    """

    curves: dict[str, Curve] = field(default_factory=dict)
    clock: list[tuple[int, float]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """How long it was trained."""
        return self.clock[-1][1] if self.clock else 0.0

    def when(self, images: int) -> float | None:
        """The second at which so many images had been seen, None if that is not known."""
        before = (0, 0.0)
        for seen, seconds in self.clock:
            if seen >= images:
                share = (images - before[0]) / max(seen - before[0], 1)
                return before[1] + share * (seconds - before[1])
            before = (seen, seconds)
        return None


Timed = Sequence[tuple[RunRecord, list[History]]]
"""Rows of a leaderboard, each with the histories of its runs."""


def read_history(path: Path) -> History:
    """Reads a run's history; without a file it is empty, and damaged lines are skipped."""
    history = History()
    try:
        rows, history.notes = read_metrics(path / "metrics.jsonl")
    except FileNotFoundError:
        return history
    for row in rows:
        seconds = row.get("seconds")
        if not isinstance(seconds, int | float) or any(key.startswith("test/") for key in row):
            continue  # evaluations after training; their clock is another
        history.clock.append((row["images_seen"], float(seconds)))
        for key, value in row.items():
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if key in SKIPPED or not number or not math.isfinite(value):
                continue
            curve = history.curves.setdefault(key, Curve())
            curve.images.append(row["images_seen"])
            curve.seconds.append(float(seconds))
            curve.values.append(float(value))
    history.clock.sort()
    return history


def best_by(curve: Curve, seconds: float, better: str) -> float | None:
    """The best reading of a curve until then, None before the first.

    Example:
        >>> best_by(Curve([1, 2, 3], [10.0, 20.0, 30.0], [5.0, 2.0, 4.0]), 30, "lower")
        2.0
    """
    values = [v for t, v in zip(curve.seconds, curve.values, strict=True) if t <= SLACK * seconds]
    if not values:
        return None
    return max(values) if better == "higher" else min(values)


def over_time(
    rows: Timed,
    metric: str,
    better: str,
    times: Sequence[float],
) -> list[list[tuple[float, float | None] | None]]:
    """The best value of each row by each time: mean and deviation over its seeds.

    None where not all of its seeds had a reading by then.
    """
    table = []
    for _, histories in rows:
        curves = [h.curves[metric] for h in histories if metric in h.curves]
        line: list[tuple[float, float | None] | None] = []
        for seconds in times:
            found = [v for c in curves if (v := best_by(c, seconds, better)) is not None]
            if not found or len(found) < len(curves):
                line.append(None)
            else:
                line.append((mean(found), stdev(found) if len(found) > 1 else None))
        table.append(line)
    return table


def moments(histories: Sequence[History]) -> list[float]:
    """The seconds to compare at: 1, 3, 10, 30 minutes and so on, as far as the longest run came.

    Example:
        >>> moments([History(clock=[(100, 700.0)])])
        [60.0, 180.0, 600.0]
    """
    longest = max((history.seconds for history in histories), default=0.0)
    found = [60.0 * m for m in MINUTES if 60 * m <= SLACK * longest]
    found = found or [t for t in (10.0, 30.0) if t <= SLACK * longest]
    return found[-5:] or ([longest] if longest else [])
