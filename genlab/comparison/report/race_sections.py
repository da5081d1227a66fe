"""Sections of a race's page; all text is escaped."""

import math
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from genlab.comparison.report.sample_grids import data_uri
from genlab.comparison.report.sections import minutes, text
from genlab.config.catalog import entries
from genlab.config.folders import config_dir
from genlab.racing.directory_of_race import RaceDirectory
from genlab.racing.fitting_data import Facts
from genlab.racing.journal import Journal
from genlab.racing.race_settings import RaceRecord
from genlab.racing.standing import out_reasons
from genlab.racing.wording import number, with_spread
from genlab.system.machine import versions
from genlab.system.paths import shown

__all__ = [
    "bracket_section",
    "decisions_section",
    "method_section",
    "next_section",
    "samples_section",
    "untried_section",
]


def order(journal: Journal, record: RaceRecord) -> list[str]:
    """The candidates, the winner first, then by how far they came and how good they were there."""
    verdict = journal.last("verdict")
    means = verdict["means"] if verdict else {}
    sign = -1 if (journal.last("data") or {}).get("better") == "higher" else 1

    def place(name: str) -> tuple[float, ...]:
        line = journal.last("measured", candidate=name, seed=record.seed)
        if name in means:
            return (0, means[name])
        value = sign * line["value"] if line else math.inf
        return (1, -line["rung"] if line else 1, value if math.isfinite(value) else math.inf)

    return sorted(record.candidates, key=place)


def bracket_section(
    journal: Journal, record: RaceRecord, facts: Facts, colours: Mapping[str, str]
) -> str:
    """A row a candidate, a column a rung, and why each is out."""
    plan, out = journal.all("plan")[-1], out_reasons(journal)
    verdict = journal.last("verdict") or {"means": {}, "spreads": {}, "winner": None, "seeds": 0}
    unit = "s" if plan["unit"] == "seconds" else "images"
    heads = "".join(f'<th class="n">{number(r["amount"])} {unit}</th>' for r in plan["rungs"])
    rows = []
    for name in order(journal, record):
        cells = []
        for rung in plan["rungs"]:
            where = {"candidate": name, "seed": record.seed, "rung": rung["number"]}
            line = journal.last("measured", **where)
            shown_value = number(line["value"]) if line else ""
            if line and line["noise"]:
                value, noise = with_spread(line["value"], line["noise"]).split(" ", 1)
                shown_value = f"{value} <small>{noise}</small>"
            cells.append(f'<td class="n">{shown_value}</td>')
        mean, spread = verdict["means"].get(name), verdict["spreads"].get(name)
        seeds = "" if mean is None else number(abs(mean))
        if spread is not None:
            seeds = with_spread(abs(mean), spread)
        why = out.get(name) or ("winner" if name == verdict["winner"] else "finalist")
        kind = ' class="gone"' if name in out else ""
        chip = f'<span class="chip" style="background:{colours[name]}"></span>'
        rows.append(
            f"<tr{kind}><th>{chip}{text(name)}</th>{''.join(cells)}"
            f'<td class="n key">{seeds}</td><td class="why">{text(why)}</td></tr>'
        )
    few = f"{verdict['seeds']} seeds of each finalist"
    return (
        f'<div class="scroll"><table class="board"><thead><tr><th>candidate</th>{heads}'
        f'<th class="n">{few}</th><th>why it is out</th></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
        f'<p class="muted">{text(facts.objective)} of one run after so much training since its '
        "beginning; ± is the standard deviation of the metric alone (bootstrap over samples) in a "
        "rung, and that over seeds, at least the metric's own, in the column of the finalists.</p>"
    )


def samples_section(place: RaceDirectory, journal: Journal, record: RaceRecord) -> str:
    """The last samples of each candidate."""
    figures = []
    for name in order(journal, record):
        line = journal.last("measured", candidate=name, seed=record.seed)
        if line is None or not line.get("picture"):
            continue
        uri = data_uri(place.path / f"{name}-s{record.seed}" / line["picture"])
        if uri is not None:
            told = f"{name}: {line['images_seen']:,} images, {line['seconds']:.1f} s"
            figures.append(
                f'<figure><img src="{uri}" alt="samples of {text(name)}">'
                f"<figcaption>{text(told)}</figcaption></figure>"
            )
    return "".join(figures) or "<p>No samples were drawn.</p>"


def next_section(place: RaceDirectory, journal: Journal, record: RaceRecord) -> str:
    """The commands that train the winner on, and measure it in full."""
    verdict = journal.last("verdict")
    assert verdict is not None
    name = f"{verdict['winner']}-s{record.seed}"
    run = shlex.quote(f"{shown(place.path)}/{name}")
    line = journal.last("measured", candidate=verdict["winner"], seed=record.seed)
    assert line is not None
    trust = [word for word in record.words if word.startswith("trust=")]
    words = [*trust, "trainer.chunk=16", "trainer.epochs=null"]
    if record.budget.unit == "images":
        words += [f"trainer.max_images={10 * line['images_seen']}", "trainer.max_time=null"]
    else:
        longer = math.ceil(10 * line["seconds"])
        words += ["trainer.max_images=null", f"trainer.max_time={longer}s"]
    go_on = f"genlab train run={run} {' '.join(map(shlex.quote, words))}"
    lines = []
    if verdict["pairs"] and not verdict["told"]:
        seeds = verdict["seeds"] + verdict["more_seeds"]
        lines.append(
            f"genlab race resume {shlex.quote(shown(place.path))} seeds={seeds}  "
            "# more seeds of the finalists, to tell them apart"
        )
    lines += [
        f"{go_on}  # from its checkpoint on, ten times as long",
        f"genlab evaluate run={run} checkpoint=last  # every metric of it, as it is now",
        f"genlab compare {shlex.quote(shown(place.path))}  # all its runs",
    ]
    return f"<pre>{text(chr(10).join(lines))}</pre>"


def untried_section(
    journal: Journal, record: RaceRecord, facts: Facts, folders: Sequence[Path]
) -> str:
    """What the race says nothing about."""
    tried = {
        word.partition("=")[2]
        for candidate in record.candidates.values()
        for word in candidate.overrides
        if word.startswith("model=")
    }
    known = entries("model", [config_dir(), *folders])
    rest = [
        entry.name
        for entry in known
        if entry.name not in tried and entry.family and facts.kind in entry.family.accepts
    ]
    never = {
        name: reason
        for name, reason in out_reasons(journal).items()
        if not journal.all("measured", candidate=name)
    }
    items = [f"<li><strong>{text(name)}</strong>: {text(why)}</li>" for name, why in never.items()]
    items.append(
        f"<li>Models of this kind of data that were no candidates: {text(', '.join(rest))}.</li>"
        if rest
        else "<li>No model of this kind of data was left out.</li>"
    )
    items.append(
        "<li>Other settings of the candidates than those in race.json: learning rates, sizes, "
        "batch sizes, schedules (all rates are constant, since no run knows its end).</li>"
    )
    items.append("<li>Longer training: who is behind here may be ahead after more of it.</li>")
    return f"<ul>{''.join(items)}</ul>"


def method_section(journal: Journal, record: RaceRecord, facts: Facts) -> str:
    """How the race was run and measured."""
    versions_of = versions()
    kept = {k: versions_of[k] for k in ("torch", "pytorch-lightning")}
    same = (
        "the same seed, workers and threads give the same bracket on the same machine"
        if record.budget.unit == "images"
        else "a budget in time: another machine, or another day, may give another bracket"
    )
    rows = {
        "objective": f"{facts.objective}, {facts.better} is better"
        + (f"; {facts.note}" if facts.note else ""),
        "budget": f"{record.budget.text}; the race took {minutes(journal.lines[-1]['elapsed'])}",
        "workers": f"{record.workers} at a time with {record.threads} CPU threads each",
        "seeds": f"from {record.seed} on; {same}",
        "test": "Welch's t-test over seeds, variance at least the metric's own, corrected for all "
        "pairs of finalists (Holm); told is p <= 0.03 at the first look, 0.01 at the second, half "
        "of it at each further one: at most 5 % false alarms over the race",
        "versions": ", ".join(f"{name} {version}" for name, version in kept.items()),
        "words": " ".join(record.words),
    }
    body = "".join(
        f'<tr><th>{text(k)}</th><td class="why">{text(v)}</td></tr>' for k, v in rows.items()
    )
    return f"<table>{body}</table>"


def decisions_section(journal: Journal) -> str:
    """The journal."""
    rows = "".join(
        f'<tr><td class="n">{line["elapsed"]:.1f} s</td><td>{text(line["event"])}</td>'
        f"<td>{text(line.get('candidate', ''))}</td>"
        f'<td class="why">{text(line["reason"])}</td></tr>'
        for line in journal.lines
    )
    return f"<details><summary>{len(journal.lines)} lines</summary><table>{rows}</table></details>"
