"""Page of a race as one HTML file without a script: verdict, bracket, curve, samples, what to type.

A Content-Security-Policy in the page forbids every request.
"""

import time
from collections.abc import Sequence
from pathlib import Path

from genlab.comparison.report.page import asset
from genlab.comparison.report.race_chart import Point, chart
from genlab.comparison.report.race_sections import (
    bracket_section,
    decisions_section,
    method_section,
    next_section,
    samples_section,
    untried_section,
)
from genlab.comparison.report.sections import colour, text
from genlab.racing.directory_of_race import RaceDirectory
from genlab.racing.fitting_data import Facts
from genlab.racing.journal import Journal

__all__ = ["make_race_page"]

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; \
img-src data:; base-uri 'none'; form-action 'none'">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="genlab race">
<title>{title}</title>
<style>{style}
.verdict {{ font-size: 19px; line-height: 1.45; max-width: 62em; }}
.verdict p:first-child {{ font-weight: 600; }}
svg text {{ fill: var(--text); font: 12px system-ui, sans-serif; }}
svg .grid {{ stroke: var(--line); }}
.gone td, .gone th {{ color: var(--muted); }}
td.why {{ white-space: normal; min-width: 22em; }}
pre {{ background: var(--panel); padding: 10px 12px; border-radius: 6px; overflow: auto; }}
figure {{ display: inline-block; margin: 0 18px 18px 0; vertical-align: top; }}
figure img {{ image-rendering: pixelated; width: 240px; }}
figcaption {{ max-width: 240px; }}
</style>
</head>
<body>
<header>
<h1>{title}</h1>
<p class="muted">{subtitle}</p>
<nav>{links}</nav>
</header>
<main>
<section id="verdict">
<h2>Verdict</h2>
<div class="verdict">{verdict}</div>
</section>
{body}
</main>
<footer class="muted">genlab race · one file, no network, no script</footer>
</body>
</html>
"""


def make_race_page(place: RaceDirectory, folders: Sequence[Path] = ()) -> str:
    """The page of a race that has a verdict.

    Args:
        place: The race's directory.
        folders: Folders of configs, for the models that were not tried.
    """
    # What is known
    journal, record = Journal(place.journal), place.record()
    line, verdict = journal.last("data"), journal.last("verdict")
    assert line is not None, f"{place.path} has no data yet"
    assert verdict is not None, f"{place.path} has no verdict yet"
    facts = Facts.of(line)
    data = next((w.partition("=")[2] for w in record.words if w.startswith("data=")), "data")
    # The sections
    colours = {name: colour(i) for i, name in enumerate(record.candidates)}
    points = [
        Point(
            x["candidate"], x["seed"] - record.seed, x["seconds"], x["value"], int(x["images_seen"])
        )
        for x in journal.all("measured")
    ]
    sections = [
        ("bracket", "Bracket", bracket_section(journal, record, facts, colours)),
        ("time", "Quality against seconds", chart(points, facts.objective, facts.better, colours)),
        ("samples", "Samples side by side", samples_section(place, journal, record)),
        ("next", "What to type next", next_section(place, journal, record)),
        ("untried", "What was not tried", untried_section(journal, record, facts, folders)),
        ("method", "How it was measured", method_section(journal, record, facts)),
        ("decisions", "Every decision", decisions_section(journal)),
    ]
    title = f"Race on {data}: {verdict['winner']}"
    subtitle = f"{facts.text} · budget {record.budget.text} · {time.strftime('%Y-%m-%d %H:%M')}"
    return PAGE.format(
        title=text(title),
        style=asset("page.css"),
        subtitle=text(subtitle),
        links="".join(f'<a href="#{name}">{text(head)}</a>' for name, head, _ in sections),
        verdict="".join(f"<p>{text(sentence)}</p>" for sentence in verdict["sentences"]),
        body="\n".join(
            f'<section id="{name}">\n<h2>{text(head)}</h2>\n{body}\n</section>'
            for name, head, body in sections
        ),
    )
