"""genlab compare: a leaderboard of runs that ranks together only what can be compared."""

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from genlab.commands.parser import Parser
from genlab.comparison.leaderboard import shown_key
from genlab.comparison.ranking import blocks, choose_key, front, front_keys
from genlab.comparison.reading import drop_unreadable, read_leaderboard
from genlab.comparison.seeds import named, over_seeds
from genlab.comparison.settings import where
from genlab.comparison.writing import to_csv, to_markdown, to_plain
from genlab.errors import ConfigError
from genlab.system.paths import write_atomically

__all__ = ["run"]


def run(argv: Sequence[str]) -> int:
    """Prints the leaderboard, or writes it into a file; loads no torch.

    Raises:
        ConfigError: There are no runs, none has the metric or the key, or a file cannot be written.
    """
    args = make_parser().parse_args(argv)
    if args.html is not None:
        from genlab.comparison.report.vega import find_library

        find_library()  # before any work
    # Read the runs
    board = read_leaderboard([Path(folder) for folder in args.folders])
    if args.diff or args.csv or args.html or args.where:
        board = drop_unreadable(board)
    board = where(board, args.where)
    board = named(board if args.runs else over_seeds(board))
    # Rank them
    if args.pareto is not None:
        keys = front_keys(board, args.pareto)
        key = choose_key(board, args.sort) if args.sort else keys[0]
        best = front(board, keys)
        said = (
            f"Pareto front of {', '.join(map(shown_key, keys))}: "
            f"{len(best)} of {len(board.rows)} configurations"
        )
        shown = replace(board, rows=best, notes=[said, *board.notes])
        ranked = blocks(shown, *dict.fromkeys([key, *keys]))
    else:
        key = choose_key(board, args.sort)
        keys, best, shown = [], [], board
        ranked = blocks(board, key)
    # Show or write them
    if args.json:
        print(json.dumps(to_plain(shown, ranked, key, args.diff), indent=2, allow_nan=False))
    elif args.markdown:
        print(to_markdown(shown, ranked, key, args.diff), end="")
    elif args.csv != "-":
        from genlab.comparison.table import show, show_differences

        show(shown, ranked, key)
        if args.diff:
            show_differences([row for block in ranked for row in block.rows])
    if args.csv is not None:
        write("--csv", args.csv, to_csv(shown, ranked))
    if args.html is not None:
        from genlab.comparison.report.page import make_page

        write("--html", args.html, make_page(board, key, keys, best))
    return 0


def make_parser() -> Parser:
    """The command line."""
    parser = Parser(prog="genlab compare", description="Rank runs that can be compared.")
    add = parser.add_argument
    add("folders", nargs="*", default=["runs"], metavar="DIR", help="runs, sweeps or folders")
    add("--sort", metavar="KEY", help="the metric to rank by, or seconds, images, parameters")
    only = "only runs with this, such as model=vae or model.latent=16,32; may be repeated"
    add("--where", action="append", default=[], metavar="KEY=VALUE", help=only)
    add("--pareto", metavar="KEY,KEY", help="only what nothing beats: fd_digits,seconds")
    add("--diff", action="store_true", help="in which keys the configurations differ, too")
    add("--runs", action="store_true", help="each run, not the mean over the seeds of a setting")
    add("--csv", metavar="FILE", help="everything into a CSV file; - prints it")
    add("--html", metavar="FILE", help="a report for the browser: one file, needs no network")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--markdown", action="store_true", help="print it as Markdown")
    form.add_argument("--json", action="store_true", help="print it as JSON")
    return parser


def write(option: str, name: str, text: str) -> None:
    """Writes a file that was asked for.

    Raises:
        ConfigError: It cannot be written.
    """
    if name == "-":
        print(text, end="")
        return
    path = Path(name)
    if path.is_dir() or not path.parent.is_dir():
        what = "is a directory" if path.is_dir() else f"there is no directory {path.parent}"
        raise ConfigError(f"{option} {name}: {what}")
    try:
        write_atomically(path, text.encode())
    except OSError as error:
        raise ConfigError(f"{option} {name}: cannot be written ({error.strerror})") from None
    size = f"{len(text.encode()) / 1e6:.1f} MB" if option == "--html" else f"{len(text):,} bytes"
    print(f"wrote {path} ({size})", file=sys.stderr)
