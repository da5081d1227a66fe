"""Quality against the cost of sampling: reports of one model, drawn from in several ways."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from genlab.metrics.report import Report

__all__ = ["curve_table"]


def curve_table(ways: Sequence[Mapping[str, Any]], reports: Sequence[Report]) -> Table:
    """A row a way of sampling: what was chosen, its cost, and what was measured of all.

    Args:
        ways: The options of each.
        reports: The report of each.
    """
    varied = [key for key in ways[0] if len({str(way[key]) for way in ways}) > 1]
    shared = [v.key for v in reports[0].values if all(v.key in report for report in reports)]
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for title in (*varied, "nfe", *shared, "samples/s"):
        table.add_column(title, justify="right")
    for way, report in zip(ways, reports, strict=True):
        speed = report.samples_per_second
        table.add_row(
            *(str(way[key]) for key in varied),
            "" if report.nfe is None else str(report.nfe),
            *(f"{report[key]:.4g}" for key in shared),
            "" if speed is None else f"{speed:,.0f}",
        )
    floors = [v for v in reports[0].values if v.key in shared and v.floor is not None]
    if floors:
        cells = {v.key: f"{v.floor:.4g}" for v in floors}
        empty = [""] * (len(varied) - 1)
        table.add_row("floor", *empty, "", *(cells.get(key, "") for key in shared), "")
    return table
