"""Quality against evaluations: the rows of a run under several numbers of steps as one curve."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from genlab.comparison.columns import measured_text
from genlab.comparison.leaderboard import Leaderboard, RunRecord, shown_key
from genlab.comparison.numbers import order
from genlab.comparison.ranking import better, identity_of, number
from genlab.comparison.report.sections import chip, text

__all__ = ["Line", "evaluation_floors", "evaluations_section", "lines", "swept_metrics"]

COST = ("steps",)
"""Options of sampling that buy quality with evaluations; rows of other options are other lines."""


@dataclass(frozen=True)
class Line:
    """The rows of one configuration that differ in the number of evaluations alone.

    Args:
        name: Of the configuration, with those options of its sampling that the rows share.
        rows: Places of the rows on the leaderboard, by their evaluations; the line has the colour
            of the best of them.
    """

    name: str
    rows: tuple[int, ...]


def lines(rows: Sequence[RunRecord]) -> list[Line]:
    """The lines, in the order of their first rows; a row whose evaluations nobody counted has none.

    Rows belong together where they share a run, the data, and all options but those of the cost.
    """
    found: list[tuple[Mapping[str, Any], object, set[Any], list[int]]] = []
    for i, row in enumerate(rows):
        if row.facts.get("nfe") is None:
            continue
        rest = {key: value for key, value in row.sampling.items() if key not in COST}
        data, paths = row.facts.get("fingerprint"), {run.path for run in row.runs}
        for options, other, known, places in found:
            if options == rest and other == data and known & paths:
                known |= paths
                places.append(i)
                break
        else:
            found.append((rest, data, paths, [i]))
    return [
        Line(
            named(max((rows[i] for i in places), key=lambda row: len(row.runs)), rest),
            tuple(sorted(places, key=lambda i: float(rows[i].facts["nfe"]))),
        )
        for rest, _, _, places in found
    ]


def named(row: RunRecord, rest: Mapping[str, Any]) -> str:
    """A row's name with those options alone that its line shares."""
    said = [f"{key}={value}" for key, value in rest.items()]
    return row.name.removesuffix(row.suffix) + (f" [{' '.join(said)}]" if said else "")


def swept_metrics(board: Leaderboard, rows: Sequence[RunRecord], key: str) -> list[str]:
    """Metrics that a line has at two numbers of evaluations or more, the one that ranks first."""
    found = [
        metric for metric in board.keys if any(points(rows, one, metric) for one in lines(rows))
    ]
    return sorted(found, key=lambda metric: (metric != key, order(board.number(metric), metric)))


def points(rows: Sequence[RunRecord], line: Line, metric: str) -> dict[int, RunRecord]:
    """The rows of a line that have a metric, by their evaluations; none if it is only one.

    Numbers that do not compare with the line's first are left out.
    """
    usable = [rows[i] for i in line.rows if math.isfinite(number(rows[i], metric) or math.nan)]
    alike = [row for row in usable if identity_of(row, metric) == identity_of(usable[0], metric)]
    chosen = {int(row.facts["nfe"]): row for row in alike}
    return chosen if len(chosen) > 1 else {}


def evaluation_floors(rows: Sequence[RunRecord], metrics: Sequence[str]) -> dict[str, list[Any]]:
    """The floor of each metric, row by row: None where there is none."""
    floors: dict[str, list[Any]] = {}
    for metric in metrics:
        found = [row.metrics.get(metric) for row in rows]
        floors[metric] = [
            None if m is None or m.floor is None else float(f"{m.floor:.5g}") for m in found
        ]
    return floors


def cell(row: RunRecord, metric: str) -> str:
    """A number with its spread; the floor stands above the table."""
    return text(measured_text(replace(row.metrics[metric], floor=None), 1))


def evaluations_section(board: Leaderboard, rows: Sequence[RunRecord], key: str) -> str:
    """A chart, and a table of the metric that ranks; empty where no run has two points."""
    metrics = swept_metrics(board, rows, key)
    if not metrics:
        return ""
    metric = metrics[0]
    curves = [(line, points(rows, line, metric)) for line in lines(rows)]
    curves = [(line, found) for line, found in curves if found]
    counts = sorted({nfe for _, found in curves for nfe in found})
    head = "".join(f'<th class="n">{count:,}</th>' for count in counts)
    body = []
    for line, found in curves:
        first = min(line.rows)
        cells = "".join(
            f'<td class="n">{cell(found[n], metric) if n in found else ""}</td>' for n in counts
        )
        label = chip(first, RunRecord(rows[first].path, line.name, rows[first].facts))
        body.append(f'<tr><th scope="row">{label}</th>{cells}</tr>')
    way, floor = better(board, metric), curves[0][1][min(curves[0][1])].metrics[metric].floor
    notes = [f"{way} is better"] if way else []
    notes += [] if floor is None else [f"floor, real images against real ones: {floor:.3g}"]
    return (
        '<p class="muted">A line a run: what <code>genlab evaluate sampling.steps=2,4,8</code> '
        "measured, by the passes of a network that a sample takes one after the other.</p>"
        '<div class="bar"><label>metric <select id="nfe-metric"></select></label>'
        '<label>data <select id="nfe-group"></select></label>'
        '<label><input type="checkbox" id="nfe-log"> logarithmic</label></div>'
        '<div class="chart tall" id="nfe-chart"></div>'
        f"<h3>{text(shown_key(metric))} by evaluations</h3>"
        f'<p class="muted">{text("; ".join(notes))}</p>'
        f'<div class="scroll"><table><thead><tr><th>configuration</th>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )
