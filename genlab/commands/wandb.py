"""genlab wandb: uploads what was logged offline, and a leaderboard as a table."""

import csv
import io
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from genlab.commands.parser import Parser
from genlab.comparison.ranking import blocks, choose_key
from genlab.comparison.reading import read_board
from genlab.comparison.seeds import named, over_seeds
from genlab.comparison.writing import to_csv
from genlab.errors import ConfigError, GenlabError
from genlab.runs import Run, list_runs, write_json
from genlab.training.loggers.wandb_mode import NO_KEY, choose_mode, has_key

__all__ = ["after_sweep", "publish", "run"]

CLOUD = "https://api.wandb.ai"
PATIENCE = 10
"""Seconds that a server may take to answer at all."""


def run(argv: Sequence[str]) -> int:
    """Uploads the offline runs, or the leaderboard, of directories.

    Raises:
        ConfigError: A directory does not exist, or there is no key.
        GenlabError: The server does not answer, or took not all.
    """
    parser = Parser(prog="genlab wandb", description="Weights & Biases, after the runs.")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for verb, text in (
        ("sync", "upload what was logged offline"),
        ("leaderboard", "log the leaderboard as a table of a W&B run of its own"),
    ):
        words = verbs.add_parser(verb, help=text, description=text)
        words.add_argument("place", nargs="?", default="runs", metavar="DIR", help="run or sweep")
        if verb == "leaderboard":
            words.add_argument("--project", default="genlab", help="the W&B project (genlab)")
            words.add_argument("--entity", help="the W&B user or team (the account's default)")
    args = parser.parse_args(argv)
    place = Path(args.place)
    if not place.is_dir():
        raise ConfigError(f"{place}: there is no such directory")
    if args.verb == "sync":
        sync(place)
    else:
        publish(place, project=args.project, entity=args.entity)
    return 0


def sync(place: Path) -> None:
    """Uploads all offline runs at or below a directory that were not uploaded before.

    Raises:
        ConfigError: There is no key.
        GenlabError: The server does not answer, or took not all.
    """
    waiting = offline(place)
    if not waiting:
        print(f"{place}: nothing was logged offline that is not uploaded")
        return
    server = os.environ.get("WANDB_BASE_URL", CLOUD)
    if not has_key(server):
        raise ConfigError(
            f"no key for {server} was found: `wandb login` stores one, or set WANDB_API_KEY"
        )
    answer(server)
    for count, folder in enumerate(waiting, 1):
        print(f"{count}/{len(waiting)}  {folder}", flush=True)
        done = subprocess.run(
            [sys.executable, "-m", "wandb", "sync", str(folder)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | {"WANDB_ERROR_REPORTING": "false"},
        )
        if done.returncode or folder in offline(place):
            said = " ".join(done.stdout.split())[-300:]
            raise GenlabError(
                f"{folder} was not uploaded, {count - 1} before it were: {said}\n"
                f"the same command goes on where it stopped"
            )
    print(f"uploaded {len(waiting)} to {server}")


def offline(place: Path) -> list[Path]:
    """The folders of W&B's that hold what was logged offline and not uploaded, oldest first."""
    found = [file for one in list_runs(place) for file in one.path.glob("wandb/offline-run-*/*")]
    files = [file for file in found if file.suffix == ".wandb"]
    return sorted(
        (file.parent for file in files if not Path(f"{file}.synced").exists()),
        key=lambda folder: folder.name,
    )


def answer(server: str) -> None:
    """Asks a server for anything: W&B's own client would wait for it for minutes.

    Raises:
        GenlabError: It does not answer.
    """
    try:
        urllib.request.urlopen(server, timeout=PATIENCE).close()
    except urllib.error.HTTPError:
        return  # an answer, too
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise GenlabError(f"{server} does not answer ({reason}); nothing was uploaded") from None


class Place(Run):
    """A directory of runs as the place of its leaderboard, which is no run of genlab's."""

    def read(self, name: str) -> dict[str, Any]:
        """A file of the leaderboard's own."""
        return super().read(f"leaderboard.{name}")

    def update(self, name: str, **values: Any) -> None:
        """Sets values in a file of the leaderboard's own."""
        write_json(self.path / f"leaderboard.{name}", self.read(name) | values)


def publish(place: Path, project: str, entity: str | None, mode: Any = "auto") -> None:
    """Logs the leaderboard of a directory as a table, in the group of its runs.

    The run of a directory is one, however often its leaderboard is logged. Without a key or a
    server it is logged offline, into the directory.

    Raises:
        ConfigError: There are no runs to rank.
    """
    from genlab.training.loggers.context import Context
    from genlab.training.loggers.mirror import Mirror
    from genlab.training.loggers.wandb import WandbLogger

    columns, rows = table(place)
    path = place.resolve()
    context = Context(
        run=Place(path), root=path.parent, group=path.name, job_type="leaderboard", tags=()
    )
    logger = Mirror(
        "wandb", lambda: WandbLogger(context, project=project, entity=entity, mode=mode)
    )
    logger.log_table("leaderboard", columns, rows)
    logger.close()


def after_sweep(place: Path, project: str, entity: str | None, mode: Any) -> None:
    """Logs a sweep's leaderboard where its jobs were logged on purpose; no trouble ends the sweep.

    Without a key and a word about it, the jobs were logged offline by default: then whoever wants
    the table asks for it.
    """
    chosen, why = choose_mode(mode, os.environ.get("WANDB_BASE_URL", CLOUD))
    if chosen == "disabled" or (chosen == "offline" and why == NO_KEY) or not list_runs(place):
        return
    try:
        publish(place, project, entity, mode)
    except ConfigError as error:
        print(f"genlab: warning: no leaderboard for W&B: {error}", file=sys.stderr)


def table(place: Path) -> tuple[list[str], list[list[Any]]]:
    """The leaderboard's columns and rows, numbers as numbers.

    Raises:
        ConfigError: There are no runs to rank.
    """
    board = named(over_seeds(read_board([place])))
    columns, *rows = csv.reader(io.StringIO(to_csv(board, blocks(board, choose_key(board, None)))))
    kinds = [all(numeric(row[i]) for row in rows) for i in range(len(columns))]
    return columns, [
        [(float(cell) if cell else None) if is_number else cell or None
         for cell, is_number in zip(row, kinds, strict=True)]
        for row in rows
    ]  # fmt: skip


def numeric(cell: str) -> bool:
    """Whether a cell is a number, or empty."""
    try:
        float(cell or 0)
    except ValueError:
        return False
    return True
