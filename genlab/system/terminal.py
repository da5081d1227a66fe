"""Terminal output for a person: lines while it works, and the closing table."""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.table import Table

from genlab.system.progress import Progress, quiet
from genlab.system.progress import bars as terminal_bars
from genlab.system.streams import forgiving

__all__ = ["bars", "closing_table", "console", "notice", "number", "say", "warn"]


def console() -> Console:
    """The terminal, as wide as it is; a file or a pipe gets lines that are not cut."""
    forgiving()
    return Console(width=None if sys.stdout.isatty() else 120, soft_wrap=True, highlight=False)


def say(text: str) -> None:
    """One line."""
    console().print(text, markup=False)


def warn(text: str) -> None:
    """One line that should not be missed."""
    forgiving()
    Console(stderr=True, soft_wrap=True, highlight=False).print(
        f"genlab: warning: {text}", markup=False, style="yellow"
    )


def number(value: object) -> str:
    """A value as a table shows it: four significant digits, thousands apart."""
    if isinstance(value, bool) or value is None:
        return "-" if value is None else str(value).lower()
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1e5 else f"{value:.4g}"
    return str(value)


def closing_table(
    title: str, rows: Mapping[str, object], commands: Sequence[tuple[str, str]]
) -> None:
    """Results, and what to type next.

    Args:
        title: The table's title.
        rows: Names and values.
        commands: What each command is for, and the command.
    """
    table = Table(title=title, title_justify="left", show_header=False, title_style="bold")
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows.items():
        table.add_row(name, number(value))
    out = console()
    out.print(table)
    if commands:
        out.print("Next:")
        width = max(len(command) for _, command in commands)
        for purpose, command in commands:
            out.print(f"  {command:<{width}}  # {purpose}", markup=False)


@contextmanager
def bars() -> Iterator[Progress]:
    """Progress bars on the terminal, one a step; nothing where there is no terminal."""
    if not sys.stderr.isatty():
        yield quiet
        return
    with terminal_bars(Console(stderr=True)) as progress:
        yield progress


def notice(line: str) -> None:
    """One line for the user on the error stream, from the first process only.

    It looks up the stream at each call: a progress bar that stands there replaces it meanwhile.
    """
    if os.environ.get("LOCAL_RANK", "0") == "0":
        forgiving()
        print(line, file=sys.stderr, flush=True)
