"""genlab compare: a leaderboard of runs that ranks together only what can be compared."""

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from genlab.commands.parser import Parser
from genlab.leaderboard import FACTS, Board, Row, blocks, choose_key, over_seeds, read_board

__all__ = ["run"]


def run(argv: Sequence[str]) -> int:
    """Prints the leaderboard; loads no torch.

    Raises:
        ConfigError: There are no runs, or none has the metric.
    """
    parser = Parser(prog="genlab compare", description="Rank runs that can be compared.")
    parser.add_argument(
        "places", nargs="*", default=["runs"], metavar="DIR", help="runs or folders"
    )
    parser.add_argument("--sort", metavar="KEY", help="the metric to rank by")
    parser.add_argument(
        "--runs", action="store_true", help="each run, not the mean over the seeds of a setting"
    )
    parser.add_argument("--json", action="store_true", help="as JSON")
    args = parser.parse_args(argv)
    board = read_board([Path(place) for place in args.places])
    if not args.runs:
        board = over_seeds(board)
    key = choose_key(board, args.sort)
    if args.json:
        print(json.dumps(plain(board, key), indent=2))
    else:
        show(board, key)
    return 0


def plain(board: Board, key: str) -> dict[str, Any]:
    """The leaderboard as JSON can hold it."""
    ranked = [
        {
            "block": number,
            "rank": place if key in row.metrics else None,
            "run": str(row.path),
            **row.facts,
            "metrics": {name: finite(found.value) for name, found in row.metrics.items()},
            "floors": {name: finite(m.floor) for name, m in row.metrics.items() if m.floor},
            "std": {name: finite(m.std) for name, m in row.metrics.items() if m.std is not None},
            "runs": {name: m.runs for name, m in row.metrics.items() if m.runs > 1},
        }
        for number, block in enumerate(blocks(board, key), 1)
        for place, row in enumerate(block, 1)
    ]
    damaged = [{"run": str(path), "reason": reason} for path, reason in board.damaged]
    return {"sort": key, "runs": ranked, "damaged": damaged}


def finite(value: float | None) -> float | None:
    """A number that JSON can hold."""
    return value if value is not None and math.isfinite(value) else None


def show(board: Board, key: str) -> None:
    """Prints the leaderboard, and below it what could not be ranked and why."""
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else 200, highlight=False)
    ranked = blocks(board, key)
    names = [key, *(name for name in board.keys if name != key)] if board.keys else []
    names = [name for name in names if name not in FACTS][:6]
    table = Table(title=f"by {key}", title_justify="left", header_style="bold")
    for column in ("#", "run", "model", "data", "seed", "images", "seconds", "parameters"):
        right = column in ("#", "seed", "images", "seconds", "parameters")
        table.add_column(column, justify="right" if right else "left", no_wrap=column == "run")
    for name in names:
        table.add_column(name, justify="right")
    for block in ranked:
        for place, row in enumerate(block, 1):
            rank = str(place) if key in row.metrics or key in FACTS else "-"
            table.add_row(rank, *cells(row, names))
        table.add_section()
    console.print(table)
    if any(
        row.metrics[n].floor is not None for row in board.rows for n in names if n in row.metrics
    ):
        console.print("in parentheses: the floor, real images against real ones", style="dim")
    for reason in incomparable(ranked, key):
        console.print(reason, style="yellow")
    for path, reason in board.damaged:
        console.print(f"damaged: {path}: {reason}", style="red", markup=False, soft_wrap=True)


def cells(row: Row, names: Sequence[str]) -> list[str]:
    """A run's line of the table, after its rank."""
    facts = row.facts
    found = [row.name, *(str(facts[key] or "?") for key in ("model", "data"))]
    found.append("?" if facts["seed"] is None else str(facts["seed"]))
    found += ["-" if facts[key] is None else f"{facts[key]:,.0f}" for key in FACTS]
    for name in names:
        measured = row.metrics.get(name)
        text = "-" if measured is None else f"{measured.value:.4g}"
        if measured is not None and measured.std is not None:
            text += f" ± {measured.std:.2g} of {measured.runs}"
        if measured is not None and measured.floor is not None:
            text += f" ({measured.floor:.3g})"
        found.append(text)
    return found


def incomparable(ranked: Sequence[Sequence[Row]], key: str) -> list[str]:
    """Why there is more than one block, a line each."""
    measured = [block[0].metrics[key] for block in ranked if key in block[0].metrics]
    lines = []
    for number, other in enumerate(measured[1:], 2):
        first = dict(measured[0].identity)
        differs = [name for name, value in other.identity if value != first[name]]
        lines.append(
            f"block {number} is not comparable with block 1 by {key}: other {', '.join(differs)}"
        )
    missing = sum(key not in row.metrics for block in ranked for row in block)
    if missing and key not in FACTS:
        lines.append(f"{missing} without {key}: genlab evaluate run=NAME measures it")
    return lines
