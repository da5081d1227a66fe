"""The parts of the page that need no script: tables, pictures and notes. All text is escaped."""

import html
import math
import re
from collections.abc import Sequence

from genlab.comparison.columns import Column, filled, legend, number_text
from genlab.comparison.curves import Timed, moments, over_time
from genlab.comparison.flat import shown_value
from genlab.comparison.leaderboard import Leaderboard, RunRecord, shown_key
from genlab.comparison.ranking import Block, better
from genlab.comparison.report.sample_grids import Picture, data_uri, pictures_of, until
from genlab.comparison.settings import differing

__all__ = [
    "COLOURS",
    "colour",
    "differences_section",
    "leaderboard_section",
    "minutes",
    "notes_section",
    "pictures_section",
    "text",
    "times_section",
]

COLOURS = (
    "#3f7fbf", "#ee7f22", "#3a9a4c", "#d9484b", "#8e63b8", "#1a9ba1", "#b8860b", "#d065a6",
    "#8c6d4f", "#5d6fd0",
)  # fmt: skip
REST = "#8a8f98"
MOST_PICTURED = 24
"""Configurations whose samples are shown; the best ones."""


def text(value: object) -> str:
    """A text as HTML shows it."""
    return html.escape(str(value))


def colour(index: int) -> str:
    """The colour of a configuration in the order of the page: the first ten have their own."""
    return COLOURS[index] if index < len(COLOURS) else REST


def chip(index: int, row: RunRecord) -> str:
    """A configuration's colour and name."""
    return (
        f'<span class="chip" style="background:{colour(index)}"></span>'
        f'<span class="name">{text(row.name)}</span>'
    )


def minutes(seconds: float) -> str:
    """A time as a person says it.

    Example:
        >>> minutes(30), minutes(180), minutes(331), minutes(5400)
        ('30 s', '3 min', '5.5 min', '1.5 h')
    """
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.2g} min" if seconds < 3600 else f"{seconds / 3600:.2g} h"


def leaderboard_section(
    board: Leaderboard, ranked: Sequence[Block], key: str, front: set[int]
) -> str:
    """A table a block; those that do not compare say why."""
    # What all rows share, said once
    kept, same = filled(board, key)
    arrow = {"lower": " ↓", "higher": " ↑", None: ""}[better(board, key)]
    facts = [f"ranked by {shown_key(key)}{arrow}", *(f"{k} {v}" for k, v in same.items())]
    facts += legend(board, "floor: ")
    if front:
        facts.append("★ on the Pareto front")
    parts = [f'<p class="muted">{text("; ".join(facts))}</p>']
    # A table a block
    index = 0
    for block in ranked:
        if block.reason:
            parts.append(f'<p class="warn">not comparable with the first: {text(block.reason)}</p>')
        floors = {c.key: common_floor(block.rows, c.key) for c in kept}
        head = "".join(
            f'<th class="{"n" if c.right else ""}"{title(c)} data-sort>{text(c.title)}'
            f"{floors[c.key] and f'<br><small>floor {floors[c.key]}</small>'}</th>"
            for c in kept[1:]
        )
        body = []
        for rank, row in enumerate(block.rows, 1):
            star = " ★" if id(row) in front else ""
            cells = "".join(
                cell(column, row, column.key == key, floors[column.key]) for column in kept[1:]
            )
            body.append(
                f'<tr><td class="n" data-v="{rank}">{rank if block.ranked else "–"}</td>'  # noqa: RUF001
                f'<th scope="row">{chip(index, row)}{star}</th>{cells}</tr>'
            )
            index += 1
        parts.append(
            '<div class="scroll"><table class="board"><thead><tr><th class="n" data-sort>#</th>'
            f"<th data-sort>configuration</th>{head}</tr></thead>"
            f"<tbody>{''.join(body)}</tbody></table></div>"
        )
    return "\n".join(parts)


def title(column: Column) -> str:
    """Tooltip of a column's head."""
    return f' title="{text(column.note)}"' if column.note else ""


def common_floor(rows: Sequence[RunRecord], key: str) -> str:
    """The floor that all rows share, which is said once; empty where they share none."""
    found = {
        "" if row.metrics[key].floor is None else f"{row.metrics[key].floor:.3g}"
        for row in rows
        if key in row.metrics
    }
    return found.pop() if len(found) == 1 else ""


def cell(column: Column, row: RunRecord, first: bool, floor: str) -> str:
    """A cell of the leaderboard; without its floor where that stands in the head."""
    value = column.value(row)
    sort = f' data-v="{text(value)}"' if isinstance(value, int | float) else ""
    shown = text(column.text(row))
    if floor:
        shown = shown.removesuffix(f" ({floor})")
    # spread and floor stand back behind the value
    shown = re.sub(r"( ± [^ ]+)", r'<span class="muted">\1</span>', shown)
    shown = (
        re.sub(r"(\([^)]*\))$", r'<span class="muted">\1</span>', shown) if column.key else shown
    )
    kind = " ".join(name for name, on in (("n", column.right), ("key", first)) if on)
    return f'<td class="{kind}"{sort}>{shown}</td>'


def times_section(timed: Timed, metric: str, way: str) -> str:
    """Best values of each configuration by 1, 3, 10, 30 minutes, a table a data set."""
    # Configurations of the same data
    groups: dict[object, list[int]] = {}
    for i, (row, histories) in enumerate(timed):
        if any(metric in history.curves for history in histories):
            groups.setdefault(row.facts["fingerprint"], []).append(i)
    # A table for each
    parts = []
    for indices in sorted(groups.values(), key=len, reverse=True):
        chosen = [timed[i] for i in indices]
        times = moments([history for _, histories in chosen for history in histories])
        table = over_time(chosen, metric, way, [*times, math.inf])
        best = [best_of(line, way) for line in zip(*table, strict=True)]
        head = "".join(f'<th class="n">{minutes(t)}</th>' for t in times)
        head += '<th class="n">at the end</th>'
        body = []
        for index, (row, histories), line in zip(indices, chosen, table, strict=True):
            ended = max((history.seconds for history in histories), default=0.0)
            cells = "".join(
                reached(entry, entry is not None and entry[0] == best[j], [*times, 0.0][j], ended)
                for j, entry in enumerate(line)
            )
            body.append(
                f'<tr><th scope="row">{chip(index, row)}</th>{cells}'
                f'<td class="n muted">{minutes(ended)}</td></tr>'
            )
        data = text(chosen[0][0].facts["data"])
        parts.append(
            f"<h3>{text(metric)} on {data}: what you get in {', '.join(map(minutes, times))}</h3>"
            f'<p class="muted">the best by then, {way} being better; grey: the run had ended '
            "before; times are those of the machine that trained it</p>"
            f'<div class="scroll"><table><thead><tr><th>configuration</th>{head}'
            f'<th class="n">trained for</th></tr></thead><tbody>{"".join(body)}</tbody></table>'
            "</div>"
        )
    return "\n".join(parts)


def best_of(line: Sequence[tuple[float, float | None] | None], way: str) -> float | None:
    """The best of a column."""
    found = [entry[0] for entry in line if entry is not None]
    if not found:
        return None
    return max(found) if way == "higher" else min(found)


def reached(
    entry: tuple[float, float | None] | None, best: bool, seconds: float, ended: float
) -> str:
    """A cell of the table of times."""
    if entry is None:
        return '<td class="n muted" title="not measured by then">–</td>'  # noqa: RUF001
    value = number_text(entry[0])
    spread = "" if entry[1] is None else f' <span class="muted">± {entry[1]:.2g}</span>'
    over = " over" if ended * 1.06 < seconds else ""
    shown = f"<strong>{value}</strong>" if best else value
    return f'<td class="n{over}">{shown}{spread}</td>'


def pictures_section(timed: Timed) -> str:
    """Sample grids side by side: a row a configuration, a column a time."""
    # One run of each configuration that drew pictures
    shown = []
    for index, (row, histories) in enumerate(timed[:MOST_PICTURED]):
        if row.sampling:
            continue  # the pictures were drawn as the family does by default
        for run, history in zip(row.runs, histories, strict=True):
            if found := pictures_of(run.path, history):
                shown.append((index, row, run, history, found))
                break
    if not shown:
        return ""
    # A row for each
    times = moments([history for *_, history, _ in shown])
    head = "".join(f"<th>{minutes(t)}</th>" for t in times)
    body = []
    for index, row, run, history, found in shown:
        seed = f" · seed {run.facts['seed']}" if len(row.runs) > 1 else ""
        facts = f"{row.facts['data']}{seed} · {minutes(history.seconds)}"
        line, before = [], None
        for picture in [*(until(found, t) for t in times), found[-1]]:
            line.append(figure(picture, before, row.name))
            before = picture or before
        body.append(
            f'<tr><th scope="row">{chip(index, row)}<br><span class="muted">{text(facts)}</span>'
            f"</th>{''.join(line)}</tr>"
        )
    # What is left out
    left = len(timed) - MOST_PICTURED
    more = (
        f" Of the first {MOST_PICTURED} configurations; {left} more are left out."
        if left > 0
        else ""
    )
    return (
        '<p class="muted">The newest grid that had been drawn by then, of one run a configuration.'
        f"{more if left > 0 else ''}</p>"
        f'<div class="scroll"><table class="pictures"><thead><tr><th>configuration</th>{head}'
        f"<th>at the end</th></tr></thead><tbody>{''.join(body)}</tbody></table></div>"
    )


def figure(picture: Picture | None, before: Picture | None, name: str) -> str:
    """A cell with a picture."""
    if picture is None:
        return '<td class="muted">none yet</td>'
    if picture == before:
        return '<td class="muted">the same</td>'
    address = data_uri(picture.file)
    if address is None:
        return '<td class="muted">no readable PNG</td>'
    when = "" if picture.seconds is None else f" · {minutes(picture.seconds)}"
    caption = f"{picture.images:,} images{when}"
    return (
        f'<td><figure><img src="{address}" alt="{text(f"samples of {name} at {caption}")}">'
        f"<figcaption>{caption}</figcaption></figure></td>"
    )


def differences_section(rows: Sequence[RunRecord]) -> str:
    """Table of the keys that differ, with each configuration's value."""
    if len(rows) < 2:
        return ""
    # The keys
    differs = differing(rows)
    if not differs:
        return "<p>The configurations differ in nothing but the seed.</p>"
    shown = {key: [shown_value(value) for value in values] for key, values in differs.items()}
    # A column a configuration, or a row where there are many
    if len(rows) <= 8:
        head = "".join(f"<th>{chip(i, row)}</th>" for i, row in enumerate(rows))
        body = "".join(
            f'<tr><th scope="row"><code>{text(key)}</code></th>'
            + "".join(f"<td>{text(value)}</td>" for value in values)
            + "</tr>"
            for key, values in shown.items()
        )
        first = "key"
    else:
        head = "".join(f"<th><code>{text(key)}</code></th>" for key in shown)
        body = "".join(
            f'<tr><th scope="row">{chip(i, row)}</th>'
            + "".join(f"<td>{text(values[i])}</td>" for values in shown.values())
            + "</tr>"
            for i, row in enumerate(rows)
        )
        first = "configuration"
    return (
        f'<div class="scroll"><table class="diff"><thead><tr><th>{first}</th>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def notes_section(board: Leaderboard, rows: Sequence[RunRecord], more: Sequence[str]) -> str:
    """Notes: files that could not be read, unfinished runs, names of the data's classes."""
    lines = [f"damaged: {path}: {reason}" for path, reason in board.damaged]
    for row in rows:
        for run in row.runs:
            status = run.facts["status"] or "finished"
            if status not in ("finished", "trained"):
                lines.append(f"not finished: {run.path}: {status}")
    lines = list(dict.fromkeys([*lines, *named_classes(rows), *board.notes, *more]))
    return f"<ul>{''.join(f'<li>{text(line)}</li>' for line in lines)}</ul>" if lines else ""


def named_classes(rows: Sequence[RunRecord]) -> list[str]:
    """The names of each data set's classes by their labels, where they have others than these."""
    lines = []
    for row in rows:
        for run in row.runs:
            names = run.facts.get("classes") or ()
            if any(name != str(label) for label, name in enumerate(names)):
                told = ", ".join(f"{label} {name}" for label, name in enumerate(names))
                lines.append(f"classes of {run.facts['data']}: {told}")
    return list(dict.fromkeys(lines))
