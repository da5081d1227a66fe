"""genlab list: what there is to choose from."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from genlab.commands.parser import Parser, add_config_dir
from genlab.config.catalog import Entry, entries, find_group
from genlab.config.folders import config_dir
from genlab.config.overrides import groups, options
from genlab.errors import ConfigError

__all__ = ["config_folders", "run"]


def run(argv: Sequence[str]) -> int:
    """Prints the groups, or the configs of one with what they promise.

    Raises:
        ConfigError: There is no such group.
    """
    parser = Parser(prog="genlab list", description="What there is to choose from.")
    parser.add_argument("group", nargs="?", help="models, data, optimizers, experiments ...")
    parser.add_argument("--json", action="store_true", help="as JSON")
    add_config_dir(parser)
    args = parser.parse_args(argv)
    folders = config_folders(args.config_dir)
    if args.group is None:
        return overview(folders, args.json)
    group = find_group(args.group, folders)
    found = entries(group, folders)
    if args.json:
        print(json.dumps([entry.plain() for entry in found], indent=2))
    else:
        table(group, found)
    return 0


def config_folders(folder: str | None) -> list[Path]:
    """The folders of configs: genlab's, then the user's, whose classes are then found, too.

    Raises:
        ConfigError: The user's is not there.
    """
    if folder is None:
        return [config_dir()]
    if not Path(folder).is_dir():
        raise ConfigError(f"--config-dir {folder}: there is no such folder")
    for place in (Path.cwd(), Path(folder).resolve().parent):  # as for `genlab train`
        if str(place) not in sys.path:
            sys.path.append(str(place))
    return [config_dir(), Path(folder)]


def overview(folders: Sequence[Path], as_json: bool) -> int:
    """All groups and the names in them."""
    shown = [group for group in groups(folders) if not group.startswith("hydra")]
    names = {group: options(folders, group) for group in shown}
    if as_json:
        print(json.dumps(names, indent=2))
        return 0
    show(
        ["group", "configs"],
        [[group, ", ".join(listed)] for group, listed in names.items() if listed],
        "genlab list GROUP says more of one",
    )
    return 0


def table(group: str, found: Sequence[Entry]) -> None:
    """The configs of a group."""
    if group == "model":
        facts = ["data", "given", "likelihood", "can", "players", "parameters"]
        columns = ["model", *facts, "what it is"]
        rows = []
        for entry in found:
            kind = entry.family
            rows.append(
                [
                    entry.name,
                    " ".join(kind.accepts) if kind else "?",
                    " ".join(kind.conditions) if kind else "",
                    kind.likelihood if kind else "?",
                    " ".join(("sample", *kind.capabilities)) if kind else "",
                    " ".join(kind.players) if kind else "",
                    entry.header.get("parameters", "not measured yet"),
                    entry.promise,
                ]
            )
    else:
        notes = [key for key in ("expected", "time") if any(key in e.header for e in found)]
        columns = [group, "what it is", *notes]
        rows = [[e.name, e.promise, *(e.header.get(key, "") for key in notes)] for e in found]
    show(columns, rows, f"genlab show {group}/NAME prints one, {group}=NAME chooses it")


def show(columns: Sequence[str], rows: Sequence[Sequence[str]], caption: str) -> None:
    """Prints a table; where the output is no terminal, wide enough that nothing is cut."""
    from rich.console import Console
    from rich.table import Table

    terminal = sys.stdout.isatty()
    console = Console(width=None if terminal else 200, highlight=False)
    body = Table(box=None, pad_edge=False, header_style="bold", caption_justify="left")
    for i, column in enumerate(columns):
        body.add_column(column, overflow="fold", no_wrap=i == 0, style="cyan" if i == 0 else None)
    for row in rows:
        body.add_row(*(cell.replace("[", r"\[") for cell in row))
    console.print(body)
    console.print(caption, style="dim")
