"""The numbers behind the charts of the page, as small as they can be."""

import math
from collections.abc import Sequence
from typing import Any

from genlab.comparison.curves import Timed
from genlab.comparison.flat import ABSENT, shown_value
from genlab.comparison.leaderboard import ALIASES, FACTS, Leaderboard, RunRecord
from genlab.comparison.numbers import order
from genlab.comparison.ranking import better, identity_of, number
from genlab.comparison.report.evaluations import evaluation_floors, lines, swept_metrics
from genlab.comparison.report.sections import COLOURS, colour
from genlab.comparison.settings import differing

__all__ = ["chart_data", "quality_metric"]

POINTS = 8000
"""Points of a chart, over all runs."""

MOST_CHARTS = 12


def chart_data(
    board: Leaderboard, timed: Timed, key: str, pareto: list[str], front: set[int]
) -> dict[str, Any]:
    """All that the charts need.

    Args:
        board: The configurations.
        timed: They and the histories of their runs, in the order of the leaderboard.
        key: What they are ranked by.
        pareto: The keys of a Pareto front.
        front: Which rows are on it.
    """
    metrics = curve_metrics(board, timed, key)
    rows = [row for row, _ in timed]
    swept = swept_metrics(board, rows, key)
    return {
        "key": key,
        "pareto": pareto,
        "titles": {stored: name for name, stored in ALIASES.items()},
        "better": {k: better(board, k) for k in [*board.keys, *FACTS]},
        "groups": groups(timed),
        "configs": [
            {
                "name": row.name,
                "colour": colour(i),
                "rest": i >= len(COLOURS),
                "group": group_of(row),
                "front": id(row) in front,
            }
            for i, (row, _) in enumerate(timed)
        ],
        "curves": {metric: curves(timed, metric) for metric in metrics},
        "quality": quality_metric(board, timed, key),
        "floors": {metric: floors(timed, metric) for metric in metrics},
        "evaluations": {
            "metrics": swept,
            "lines": [{"name": line.name, "rows": list(line.rows)} for line in lines(rows)],
            "floors": evaluation_floors(rows, swept),
        },
        "numbers": numbers(board, rows),
        "settings": settings(rows),
    }


def group_of(row: RunRecord) -> str:
    """The data of a row: curves are drawn of one data set at a time."""
    return f"{row.facts['data']} {str(row.facts['fingerprint'])[:6]}"


def groups(timed: Timed) -> list[str]:
    """The data sets, that of most rows first."""
    found = [group_of(row) for row, _ in timed]
    return sorted(dict.fromkeys(found), key=lambda group: -found.count(group))


def how_many(timed: Timed) -> dict[str, int]:
    """Of how many rows there are curves, by metric."""
    counts: dict[str, int] = {}
    for _, histories in timed:
        for metric in dict.fromkeys(m for history in histories for m in history.curves):
            counts[metric] = counts.get(metric, 0) + 1
    return counts


def quality_metric(board: Leaderboard, timed: Timed, key: str) -> str | None:
    """The metric of the histories that stands for quality: the one that ranks, measured quickly."""
    counts = how_many(timed)
    names = [m for m in counts if "floor_" not in m]
    ranked = [m.removeprefix("quick/") for m in names if ranks(board, m)]
    ranked.sort(key=lambda name: order(board.number(name), name))
    starts = (
        f"quick/{key}",
        *(f"quick/{board.number(name).name}" for name in ranked),
        "val/bpd",
        "val/loss",
        "train/loss",
    )
    for start in starts:
        found = [m for m in names if m == start or m.startswith(f"{start}_")]
        if found:
            return max(found, key=lambda m: counts[m])
    return names[0] if names else None


def ranks(board: Leaderboard, metric: str) -> bool:
    """True for a metric of the histories whose number ranks where none is named."""
    group, _, name = metric.partition("/")
    return group == "quick" and board.number(name).rank is not None


def curve_metrics(board: Leaderboard, timed: Timed, key: str) -> list[str]:
    """The metrics that have a chart, the telling ones first."""
    counts = how_many(timed)
    starts = ("val/", "train/loss", "quick/", "train/", "")
    quality = quality_metric(board, timed, key)

    def telling(metric: str) -> tuple[bool, bool, int, int, str]:
        kind = next(i for i, start in enumerate(starts) if metric.startswith(start))
        return metric != quality, not ranks(board, metric), kind, -counts[metric], metric

    names = [m for m in counts if "floor_" not in m and "_std_" not in m]
    return [m for m in sorted(names, key=telling) if m == quality or varies(timed, m)][:MOST_CHARTS]


def varies(timed: Timed, metric: str) -> bool:
    """True if a metric ever had two values."""
    values = [
        value
        for _, histories in timed
        for history in histories
        if metric in history.curves
        for value in history.curves[metric].values
    ]
    return any(value != values[0] for value in values)


def curves(timed: Timed, metric: str) -> list[dict[str, Any]]:
    """A metric's curve in each run."""
    found = [
        (i, run, history.curves[metric])
        for i, (row, histories) in enumerate(timed)
        for run, history in zip(row.runs, histories, strict=True)
        if metric in history.curves
    ]
    most = max(20, min(300, POINTS // max(len(found), 1)))
    lines = []
    for i, run, curve in found:
        thin = curve.thinned(most)
        lines.append(
            {
                "config": i,
                "seed": str(run.facts["seed"]),
                "images": thin.images,
                "minutes": [round(s / 60, 3) for s in thin.seconds],
                "values": [float(f"{v:.5g}") for v in thin.values],
            }
        )
    return lines


def floors(timed: Timed, metric: str) -> dict[str, float]:
    """The floor of a quick metric, by data set."""
    group, _, name = metric.partition("/")
    found = {}
    for row, histories in timed:
        for history in histories:
            curve = history.curves.get(f"{group}/floor_{name}")
            if curve is not None:
                found[group_of(row)] = float(f"{curve.values[-1]:.5g}")
    return found


def numbers(board: Leaderboard, rows: Sequence[RunRecord]) -> dict[str, list[list[Any] | None]]:
    """Of each metric and fact and row: value, deviation, and a number for what it compares with."""
    found: dict[str, list[list[Any] | None]] = {}
    for key in [*board.keys, *FACTS]:
        kinds: dict[object, int] = {}
        column: list[list[Any] | None] = []
        for row in rows:
            value, identity = number(row, key), identity_of(row, key)
            if value is None or not math.isfinite(value):
                column.append(None)
                continue
            std = row.metrics[key].std if key in row.metrics else None
            column.append([float(f"{value:.5g}"), std, kinds.setdefault(identity, len(kinds))])
        if any(entry is not None for entry in column):
            found[key] = column
    return found


def settings(rows: Sequence[RunRecord]) -> dict[str, list[Any]]:
    """The keys that differ: numbers as they are, other values as texts, None where it is absent."""
    found: dict[str, list[Any]] = {}
    for key, values in differing(rows).items():
        column = [
            None
            if value is ABSENT
            else value
            if type(value) in (int, float) and math.isfinite(value)
            else shown_value(value)
            for value in values
        ]
        found[key] = column
    return found
