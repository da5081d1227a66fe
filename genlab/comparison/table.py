"""A leaderboard in the terminal, as wide as the terminal is."""

import sys
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from genlab.comparison.columns import Column, filled, legend
from genlab.comparison.flat import shown_value
from genlab.comparison.leaderboard import Leaderboard, RunRecord, shown_key
from genlab.comparison.ranking import Block, better
from genlab.comparison.settings import differing

__all__ = ["show", "show_differences"]

PLAIN_WIDTH = 200
"""Columns of text where nobody looks at a terminal."""

RANK, NAME = 8, 28
"""Widths: of the rank with the frame, and the least of a name that is longer."""

ARROWS = {"lower": " ↓", "higher": " ↑", None: ""}


def make_console() -> Console:
    """The terminal, or a wide one where the output goes into a file."""
    return Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH, highlight=False)


def show(board: Leaderboard, ranked: Sequence[Block], key: str) -> None:
    """Prints the leaderboard, and below it what could not be ranked and why."""
    console = make_console()
    found, same = filled(board, key)
    kept = fitting(found, board, console.width)
    facts = "".join(f" · {name} {text}" for name, text in same.items())
    table = Table(
        title=escape(f"by {shown_key(key)}{ARROWS[better(board, key)]}{facts}"),
        title_justify="left",
        header_style="bold",
    )
    table.add_column("#", justify="right")
    for column in kept:
        table.add_column(
            column.title, justify="right" if column.right else "left",
            no_wrap=column.right, overflow="fold", min_width=None if column.right else 8,
        )  # fmt: skip
    for block in ranked:
        for rank, row in enumerate(block.rows, 1):
            table.add_row(
                str(rank) if block.ranked else "-",
                *(escape(column.text(row) or "-") for column in kept),
            )
        table.add_section()
    console.print(table)
    explain(console, board, ranked, key, [c.title for c in found if c not in kept])


def fitting(found: Sequence[Column], board: Leaderboard, width: int) -> list[Column]:
    """The columns that there is room for: what is needed least is left out first."""
    widths = [3 + max([len(c.title), *(len(c.text(row)) for row in board.rows)]) for c in found]
    widths[0] = min(widths[0], NAME)  # it is folded where it is longer
    left, kept = width - RANK, set()
    for i in sorted(range(len(found)), key=lambda i: (found[i].need, i)):
        if found[i].need == 0 or widths[i] <= left:
            kept.add(i)
            left -= widths[i]
    return [column for i, column in enumerate(found) if i in kept]


def explain(
    console: Console, board: Leaderboard, ranked: Sequence[Block], key: str, left_out: Sequence[str]
) -> None:
    """The lines below the table."""

    def line(text: str, style: str) -> None:
        console.print(text, style=style, markup=False, soft_wrap=True)

    said = [f"{shown_key(key)}: {what}"] if (what := board.number(key).text) else []
    if said := [*said, *legend(board, "in parentheses: the floor, ")]:
        line("; ".join(said), "dim")
    if left_out:
        line(f"no room for: {', '.join(left_out)}; --csv FILE and --html FILE hold all", "dim")
    for count, block in enumerate(ranked, 1):
        if block.reason.startswith("without"):
            what = f"{len(block.rows)} {block.reason}"
            line(f"{what}: genlab evaluate run=NAME measures it", "yellow")
        elif block.reason:
            line(
                f"block {count} is not comparable with block 1 by {shown_key(key)}: {block.reason}",
                "yellow",
            )
    runs = {run.path: run for row in board.rows for run in row.runs}
    for run in runs.values():
        if (run.facts["status"] or "finished") not in ("finished", "trained"):
            line(f"not finished: {unfinished(run)}", "yellow")
    for note in board.notes:
        line(note, "yellow")
    for path, reason in board.damaged:
        line(f"damaged: {path}: {reason}", "red")


def unfinished(row: RunRecord) -> str:
    """The status of a run that did not come to its end, and how far it came."""
    seen = row.facts["images_seen"]
    far = "" if seen is None else f" after {seen:,.0f} images"
    return f"{row.path}: {row.facts['status']}{far}"


def show_differences(rows: Sequence[RunRecord]) -> None:
    """Prints the keys in which the configurations differ."""
    console = make_console()
    differs = differing(rows)
    if not differs:
        console.print("the configurations differ in nothing but the seed")
        return
    table = Table(title="configurations", title_justify="left", header_style="bold")
    if len(rows) <= 8:
        table.add_column("key", overflow="fold", style="bold")
        for row in rows:
            table.add_column(escape(row.name), overflow="fold")
        for key, values in differs.items():
            table.add_row(escape(key), *(escape(shown_value(value)) for value in values))
    else:
        table.add_column("configuration", overflow="fold", style="bold")
        for key in differs:
            table.add_column(escape(key), overflow="fold")
        for i, row in enumerate(rows):
            cells = (escape(shown_value(values[i])) for values in differs.values())
            table.add_row(escape(row.name), *cells)
    console.print(table)
