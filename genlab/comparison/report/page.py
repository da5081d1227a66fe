"""The comparison as one HTML file that needs no network: tables and pictures, and data for charts.

Tables and pictures are there without scripts; the charts are drawn by page.js from the data in the
page. A Content-Security-Policy in the page forbids every request, and every script but its own.
"""

import base64
import hashlib
import json
import time
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from genlab.comparison.columns import measured_text
from genlab.comparison.curves import History, Timed, read_history
from genlab.comparison.leaderboard import Leaderboard, RunRecord, shown_key
from genlab.comparison.ranking import Block, blocks
from genlab.comparison.report.chart_data import chart_data, quality_metric
from genlab.comparison.report.evaluations import evaluations_section
from genlab.comparison.report.sections import (
    differences_section,
    leaderboard_section,
    notes_section,
    pictures_section,
    text,
    times_section,
)
from genlab.comparison.report.vega import library

__all__ = ["make_page"]

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="genlab compare">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<header>
<h1>{title}</h1>
<p class="muted">{subtitle}</p>
<nav>{links}</nav>
</header>
<main>
{body}
</main>
<footer class="muted">genlab compare · one file, no network</footer>
<script type="application/json" id="data">{data}</script>
<script>{library}</script>
<script>{script}</script>
</body>
</html>
"""


def make_page(
    board: Leaderboard, key: str, keys: Sequence[str] = (), best: Sequence[RunRecord] = ()
) -> str:
    """The report.

    Args:
        board: The configurations.
        key: What they are ranked by.
        keys: Keys of the Pareto front that was asked for.
        best: The rows on it.
    """
    # The rows, and the curves of their runs
    ranked = blocks(board, key)
    rows = [row for block in ranked for row in block.rows]
    # A run's curves are shown once, however often it was evaluated.
    once = {run.path for row in rows if not row.sampling for run in row.runs}
    histories = {
        id(row): [
            History() if row.sampling and run.path in once else read_history(run.path)
            for run in row.runs
        ]
        for row in rows
    }
    # Its sections; those that are empty are left out
    notes = [note for found in histories.values() for h in found for note in h.notes]
    front = {id(row) for row in best}
    timed = [(row, histories[id(row)]) for row in rows]
    sections = [
        ("leaderboard", "Leaderboard", leaderboard_section(board, ranked, key, front)),
        ("time", "Quality against time", time_body(board, timed, key)),
        ("evaluations", "Quality against evaluations", evaluations_section(board, rows, key)),
        ("curves", "Learning curves", curves_body(timed)),
        ("samples", "Samples at equal time", pictures_section(timed)),
        ("settings", "Hyperparameters", settings_body(rows)),
        ("differences", "Where the configurations differ", differences_section(rows)),
        ("notes", "Notes", notes_section(board, rows, notes)),
    ]
    kept = [(name, title, body) for name, title, body in sections if body]
    # One file that asks for nothing
    data = chart_data(board, timed, key, list(keys), front)
    script = asset("page.js")
    plot = library()
    return PAGE.format(
        policy=text(policy(plot, script)),
        title=text(title_of(rows)),
        style=asset("page.css"),
        subtitle=subtitle(board, ranked, key),
        links="".join(f'<a href="#{name}">{text(title)}</a>' for name, title, _ in kept),
        body="\n".join(
            f'<section id="{name}">\n<h2>{text(title)}</h2>\n{body}\n</section>'
            for name, title, body in kept
        ),
        data=json_text(data),
        library=plot,
        script=script,
    )


def asset(name: str) -> str:
    """A file beside this one."""
    return (files("genlab.comparison.report") / name).read_text(encoding="utf-8")


def policy(*scripts: str) -> str:
    """Content-Security-Policy: run these scripts and show pictures of the page, nothing else."""
    hashes = [base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def json_text(data: Any) -> str:
    """JSON that cannot end the element that it stands in."""
    plain = json.dumps(data, allow_nan=False, separators=(",", ":"))
    return plain.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def title_of(rows: Sequence[RunRecord]) -> str:
    """Title of the page: the configurations where they are few."""
    if 1 < len(rows) <= 3:
        return " vs ".join(row.name for row in rows)
    return "1 configuration" if len(rows) == 1 else f"{len(rows)} configurations compared"


def subtitle(board: Leaderboard, ranked: Sequence[Block], key: str) -> str:
    """Who is best, and of how many."""
    runs = len({run.path for row in board.rows for run in row.runs})
    parts = [f"{runs} run{'s' * (runs != 1)}", time.strftime("%Y-%m-%d %H:%M")]
    for block in ranked[:1]:
        if block.ranked and key in block.rows[0].metrics:
            first = block.rows[0]
            value = measured_text(first.metrics[key], len(first.runs))
            name = f"<strong>{text(first.name)}</strong>"
            parts.insert(0, f"best by {text(shown_key(key))}: {name} {text(value)}")
    return " · ".join(parts)


def time_body(board: Leaderboard, timed: Timed, key: str) -> str:
    """Quality against time: a chart, and tables of 1, 3, 10, 30 minutes."""
    metric = quality_metric(board, timed, key)
    if metric is None:
        return ""
    # what likelihoods say is measured more often, and compares between families, too
    bits = {"val/bpd"} & {m for _, histories in timed for h in histories for m in h.curves}
    tables = [times_section(timed, m, direction(board, m)) for m in dict.fromkeys([metric, *bits])]
    return (
        '<div class="bar"><label>metric <select id="time-metric"></select></label>'
        '<label>data <select id="time-group"></select></label>'
        '<label><input type="checkbox" id="time-log"> logarithmic</label></div>'
        '<div class="chart tall" id="time-chart"></div>' + "".join(tables)
    )


def direction(board: Leaderboard, metric: str) -> str:
    """Better direction of a metric of the history."""
    return board.number(metric.partition("/")[2]).better or "lower"


def curves_body(timed: Timed) -> str:
    """Placeholder of the learning curves."""
    if not any(history.curves for _, histories in timed for history in histories):
        return ""
    return (
        '<p class="muted">Losses of different families are different quantities: compare them '
        "within a family, and <code>val/bpd</code> and <code>quick/...</code> between families.</p>"
        '<div class="bar"><label>along <select id="curve-x"><option value="images">images seen'
        '</option><option value="minutes">minutes</option></select></label>'
        '<label>data <select id="curve-group"></select></label></div>'
        '<div class="legend" id="legend"></div><div class="grid" id="curve-charts"></div>'
    )


def settings_body(rows: Sequence[RunRecord]) -> str:
    """Placeholder of the hyperparameters' charts."""
    if len(rows) < 3:
        return ""
    return (
        '<div class="bar"><label>across <select id="scatter-x"></select></label>'
        '<label>up <select id="scatter-y"></select></label>'
        '<label>data <select id="scatter-group"></select></label></div>'
        '<p class="muted" id="scatter-note"></p><div class="chart" id="scatter-chart"></div>'
        '<h3>Parallel coordinates</h3><p class="muted" id="parallel-note"></p>'
        '<div class="scroll"><div class="chart wide" id="parallel-chart"></div></div>'
    )
