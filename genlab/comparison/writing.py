"""A leaderboard as JSON, CSV and Markdown."""

import csv
import io
import math
from collections.abc import Sequence
from typing import Any

from genlab.comparison.columns import columns
from genlab.comparison.flat import ABSENT, shown_value
from genlab.comparison.leaderboard import FACTS, Leaderboard
from genlab.comparison.ranking import Block
from genlab.comparison.settings import differing

__all__ = ["finite", "to_csv", "to_markdown", "to_plain"]


def finite(value: Any) -> Any:
    """A number that JSON can hold; other things as they are."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def to_plain(board: Leaderboard, ranked: Sequence[Block], key: str, diff: bool) -> dict[str, Any]:
    """The leaderboard as JSON can hold it.

    Args:
        board: What was found.
        ranked: Its blocks.
        key: What they are ranked by.
        diff: Whether to tell where the configurations differ.
    """
    # Where the configurations differ
    rows = [row for block in ranked for row in block.rows]
    differs = differing(rows) if diff else {}
    configs = {
        id(row): {k: v[i] for k, v in differs.items() if v[i] is not ABSENT}
        for i, row in enumerate(rows)
    }
    # A record a row
    found = [
        {
            "block": count,
            "comparable": block.reason or "yes",
            "rank": rank if block.ranked else None,
            "run": str(row.path),
            "name": row.name,
            "sampling": dict(row.sampling),
            "runs_of": [str(member.path) for member in row.runs],
            **{k: finite(v) for k, v in row.facts.items()},
            "metrics": {name: finite(m.value) for name, m in row.metrics.items()},
            "floors": {n: finite(m.floor) for n, m in row.metrics.items() if m.floor is not None},
            "std": {name: finite(m.std) for name, m in row.metrics.items() if m.std is not None},
            "runs": {name: m.runs for name, m in row.metrics.items() if m.runs > 1},
            "bits_per_dim": row.metrics["bpd"].kind if "bpd" in row.metrics else None,
            **({"config": configs[id(row)]} if diff else {}),
        }
        for count, block in enumerate(ranked, 1)
        for rank, row in enumerate(block.rows, 1)
    ]
    # What they are of, and what could not be read
    damaged = [{"run": str(path), "reason": reason} for path, reason in board.damaged]
    numbers = {name: board.number(name) for name in board.keys}
    return {
        "sort": key,
        "numbers": {
            name: {"better": number.better, "label": number.label, "unit": number.unit}
            for name, number in numbers.items()
        },
        "runs": found,
        "damaged": damaged,
        "notes": board.notes,
    }


def to_csv(board: Leaderboard, ranked: Sequence[Block]) -> str:
    """The leaderboard with every metric, and every key in which configurations differ."""
    rows = [row for block in ranked for row in block.rows]
    differs = differing(rows)
    # Columns
    facts = (
        "model",
        "data",
        "seed",
        "status",
        *FACTS,
        "best_metric",
        "best",
        "best_images",
        "device",
    )
    head = ["block", "comparable", "rank", "name", "run", "runs", *facts]
    for name in board.keys:
        head += [name, f"{name}_std", f"{name}_runs", f"{name}_floor"]
    # Rows
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*head, "bpd_kind", *(f"config.{name}" for name in differs)])
    i = 0
    for count, block in enumerate(ranked, 1):
        for rank, row in enumerate(block.rows, 1):
            line: list[Any] = [count, block.reason or "yes", rank if block.ranked else None]
            line += [row.name, row.path, len(row.runs), *(row.facts[name] for name in facts)]
            for name in board.keys:
                m = row.metrics.get(name)
                line += [None] * 4 if m is None else [m.value, m.std, m.runs, m.floor]
            line.append(row.metrics["bpd"].kind if "bpd" in row.metrics else None)
            line += [None if v[i] is ABSENT else shown_value(v[i]) for v in differs.values()]
            writer.writerow(line)
            i += 1
    return out.getvalue()


def to_markdown(board: Leaderboard, ranked: Sequence[Block], key: str, diff: bool) -> str:
    """The leaderboard as tables of Markdown: one a block, and one of the configurations."""
    shown = [c for c in columns(board, key) if any(c.text(row) for row in board.rows)]
    lines: list[str] = []
    for block in ranked:
        if block.reason:
            lines += [f"Not comparable: {block.reason}", ""]
        lines += table(
            ["#", *(c.title for c in shown)],
            [True, *(c.right for c in shown)],
            [
                [str(rank) if block.ranked else "-", *(c.text(row) for c in shown)]
                for rank, row in enumerate(block.rows, 1)
            ],
        )
    if any(m.floor is not None for row in board.rows for m in row.metrics.values()):
        lines += ["In parentheses: the floor, real images against real ones.", ""]
    rows = [row for block in ranked for row in block.rows]
    if diff and (differs := differing(rows)):
        body = [
            [row.name, *(shown_value(values[i]) for values in differs.values())]
            for i, row in enumerate(rows)
        ]
        lines += table(["configuration", *differs], [False] * (1 + len(differs)), body)
    lines += [f"- damaged: {escaped(f'{path}: {reason}')}" for path, reason in board.damaged]
    lines += [f"- {escaped(note)}" for note in board.notes]
    return "\n".join(lines).rstrip() + "\n"


def table(head: Sequence[str], right: Sequence[bool], body: Sequence[Sequence[str]]) -> list[str]:
    """A table, a line each, and an empty one."""
    lines = [head, ["---:" if r else "---" for r in right], *body]
    return [
        f"| {' | '.join(cell if i == 1 else escaped(cell) for cell in line)} |"
        for i, line in enumerate(lines)
    ] + [""]


def escaped(text: str) -> str:
    """A text that Markdown shows as it is.

    Example:
        >>> escaped("a|b <script> fd_digits")
        'a\\\\|b &lt;script&gt; fd_digits'
    """
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for mark in ("\\", "|", "*", "`", "[", "]"):
        text = text.replace(mark, f"\\{mark}")
    return " ".join(text.split())
