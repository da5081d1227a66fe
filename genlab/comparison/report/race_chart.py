"""Chart of a race, as an SVG: the objective of every measurement against seconds of training."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from genlab.comparison.report.sections import text

__all__ = ["Point", "chart", "ticks"]

WIDTH, HEIGHT = 860, 380
LEFT, RIGHT, TOP, BOTTOM = 64, 150, 14, 44
"""Margins; the right one holds the names."""


@dataclass(frozen=True)
class Point:
    """A measurement.

    Args:
        name: The candidate.
        repetition: 0 for the run of the rungs.
        seconds: Of training.
        value: The objective.
        images: Images seen.
    """

    name: str
    repetition: int
    seconds: float
    value: float
    images: int


def ticks(low: float, high: float) -> list[float]:
    """Values 1, 2 and 5 times powers of ten within a range; at least its ends.

    Example:
        >>> ticks(0.7, 30)
        [1.0, 2.0, 5.0, 10.0, 20.0]
    """
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    found = [m * 10.0**e for e in range(first, last + 1) for m in (1, 2, 5)]
    inside = [value for value in found if low <= value <= high]
    return inside if len(inside) > 1 else [low, high]


def chart(points: Sequence[Point], key: str, better: str, colours: Mapping[str, str]) -> str:
    """The chart: a line a candidate, a ring for each repetition; logarithmic where all is positive.

    Args:
        points: The measurements.
        key: Name of the objective.
        better: ``lower`` or ``higher``.
        colours: Of the candidates.
    """
    shown = [p for p in points if math.isfinite(p.value) and p.seconds > 0]
    if not shown:
        return "<p>Nothing was measured.</p>"
    # Scales
    logarithmic = all(p.value > 0 for p in shown)
    times = widened([p.seconds for p in shown])
    values = [p.value for p in shown]
    values = widened(values) if logarithmic else values
    place_x = Scale(times, LEFT, WIDTH - RIGHT, True)
    place_y = Scale(values, HEIGHT - BOTTOM, TOP, logarithmic)
    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{text(key)}">']
    for value in axis(times, True):
        x = place_x(value)
        parts.append(
            f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
            f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">'
            f"{value:.3g} s</text>"
        )
    for value in axis(values, logarithmic):
        y = place_y(value)
        parts.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:.3g}</text>'
        )
    # A line a candidate, and its name at the end
    ends = []
    for name in dict.fromkeys(p.name for p in shown):
        stroke = colours[name]
        line = sorted((p for p in shown if p.name == name and not p.repetition), key=seconds)
        path = " ".join(f"{place_x(p.seconds):.1f},{place_y(p.value):.1f}" for p in line)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{stroke}" stroke-width="2"/>')
        for p in (p for p in shown if p.name == name):
            fill = "none" if p.repetition else stroke
            told = f"{name}, seed +{p.repetition}: {p.value:.4g} after {p.seconds:.1f} s"
            parts.append(
                f'<circle cx="{place_x(p.seconds):.1f}" cy="{place_y(p.value):.1f}" r="4" '
                f'fill="{fill}" stroke="{stroke}"><title>{text(told)}</title></circle>'
            )
        if line:
            ends.append((place_y(line[-1].value), place_x(line[-1].seconds), name))
    parts += [
        f'<text x="{x + 9:.1f}" y="{y + 4:.1f}" style="fill:{colours[name]}">{text(name)}</text>'
        for y, x, name in apart(ends)
    ]
    parts.append("</svg>")
    note = f"{text(key)}, {text(better)} is better; rings are the finalists' other seeds"
    return f'{"".join(parts)}<p class="muted">{note}</p>'


def seconds(point: Point) -> float:
    """Seconds of a point, to sort by."""
    return point.seconds


def widened(values: Sequence[float]) -> list[float]:
    """The ends of a logarithmic axis, which spans a factor of 4 at least: so what is nearly equal
    looks so.

    Example:
        >>> widened([25.0, 25.0]), widened([1.0, 8.0])
        ([12.5, 50.0], [1.0, 8.0])
    """
    low, high = min(values), max(values)
    more = max(1.0, 2 / math.sqrt(high / low))
    return [low / more, high * more]


def apart(ends: list[tuple[float, float, str]]) -> list[tuple[float, float, str]]:
    """Names moved down where they would lie on each other."""
    found: list[tuple[float, float, str]] = []
    for y, x, name in sorted(ends):
        near = [other for other, at, _ in found if abs(at - x) < 90]
        found.append((max(y, max(near) + 14) if near else y, x, name))
    return found


def axis(values: Sequence[float], logarithmic: bool) -> list[float]:
    """Where grid lines lie."""
    low, high = min(values), max(values)
    if logarithmic:
        return ticks(low, high) if high > low else [low]
    return [low + (high - low) * k / 4 for k in range(5)] if high > low else [low]


class Scale:
    """Places values between two ends of an axis.

    Args:
        values: All that are to be placed.
        start: Where the lowest lies.
        end: Where the highest lies.
        logarithmic: By their logarithms.
    """

    def __init__(self, values: Sequence[float], start: float, end: float, logarithmic: bool):
        self.move = math.log if logarithmic else float
        self.low, self.high = self.move(min(values)), self.move(max(values))
        self.start, self.end = start, end

    def __call__(self, value: float) -> float:
        """The place of a value."""
        span = self.high - self.low
        share = (self.move(value) - self.low) / span if span else 0.5
        return self.start + share * (self.end - self.start)
