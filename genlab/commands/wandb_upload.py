"""genlab wandb: uploads what was logged offline, and a leaderboard as a table."""

import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from genlab.commands.parser import Parser
from genlab.errors import ConfigError, GenlabError
from genlab.experiment.wandb_leaderboard import CLOUD, publish
from genlab.runs.directory import list_runs
from genlab.training.loggers.wandb_mode import has_key

__all__ = ["run"]

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
    # What there is to upload, and where to
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
    # One after the other
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
    found: list[Path] = []
    for one in list_runs(place):
        found += one.path.glob("wandb/offline-run-*/*")
        known = one.read("run.json")
        if "wandb_dir" in known:  # where WANDB_DIR was when it was trained
            found += Path(known["wandb_dir"]).glob(f"wandb/offline-run-*-{known['wandb_id']}/*")
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
