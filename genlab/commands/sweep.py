"""genlab sweep: shows how a sweep goes, and resumes one that was cut off."""

import json
import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from genlab.commands.parser import Parser
from genlab.config.overrides import key_of
from genlab.errors import ConfigError, nearest
from genlab.runs.directory import Run
from genlab.sweeps.jobs import Sweep
from genlab.system.secrets import REDACTED

__all__ = ["run"]

MAY_CHANGE = ("hydra/launcher", "hydra.launcher.", "trainer.threads")
"""Keys that another machine may need otherwise; any other key would make other jobs."""

COLOURS = {"done": "green", "running": "cyan", "failed": "red", "killed": "red"}


def run(argv: Sequence[str]) -> int:
    """Shows a sweep, or resumes it; loads no torch.

    Raises:
        GenlabError: There is no such sweep, or jobs of it are not done in the end.
    """
    parser = Parser(prog="genlab sweep", description="Show how a sweep goes, or resume it.")
    actions = parser.add_subparsers(dest="action", required=True, parser_class=Parser)
    status = actions.add_parser("status", help="the jobs and what became of each")
    status.add_argument("--json", action="store_true", help="as JSON")
    resume = actions.add_parser(
        "resume", help="run what is missing or failed; half-done jobs resume from their checkpoints"
    )
    for action in (status, resume):
        action.add_argument("sweep", metavar="DIR", help="the sweep's directory, or last")
        action.add_argument("--root", default="runs", help="where to look for the last one")
    resume.add_argument(
        "overrides", nargs="*", metavar="KEY=VALUE",
        help="another launcher, and secrets, which are not kept",
    )  # fmt: skip
    args = parser.parse_args(argv)
    sweep = find_sweep(args.sweep, Path(args.root))
    if args.action == "resume":
        resume_sweep(sweep, args.overrides)
    elif args.json:
        print(json.dumps(as_json(sweep), indent=2))
    else:
        show(sweep)
    return 0


def find_sweep(text: str, root: Path) -> Sweep:
    """The sweep that a user means by a path, a name under root, or ``last``.

    Raises:
        ConfigError: There is none.
    """
    known = sorted(root.glob("*/sweep.json"), key=lambda file: file.stat().st_mtime)
    if text in ("last", "latest"):
        if not known:
            raise ConfigError(f"{text}: there is no sweep under {root}; start with genlab train -m")
        return Sweep.open(known[-1].parent)
    for path in (Path(text), root / text):
        if (path / "sweep.json").is_file():
            return Sweep.open(path)
    if not Path(text).exists():
        names = [file.parent.name for file in known]
        name = Path(text).name
        hint = f"; did you mean {name!r}?" if name in names else nearest(name, names)
        raise ConfigError(f"{text}: there is no such sweep{hint}")
    return Sweep.open(Path(text))


def resume_sweep(sweep: Sweep, more: Sequence[str]) -> None:
    """Runs the sweep's command again, in the folder that it was started in.

    Raises:
        ConfigError: A key that may not change, or a secret that must be given again.
    """
    from genlab.launch.hydra_app import run as run_hydra

    made = sweep.metadata()
    typed = [str(word) for word in made["overrides"]]
    given = {key_of(word) for word in more}
    secret = {key_of(word) for word in typed if REDACTED in word}
    for word in more:
        key = key_of(word)
        if key not in secret and not key.startswith(MAY_CHANGE):
            raise ConfigError(
                f"{key}: a resumed sweep keeps its jobs; hydra/launcher, hydra.launcher.* and "
                "trainer.threads may change"
            )
    if missing := sorted(secret - given):
        raise ConfigError(f"{missing[0]}: is not kept; give it again: {missing[0]}=VALUE")
    if not Path(made["folder"]).is_dir():
        raise ConfigError(f"{sweep.path}: was started in {made['folder']}, which is not there")
    if "hydra/launcher" in given:  # the old one's settings are none of the new one's
        typed = [word for word in typed if not key_of(word).startswith("hydra.launcher.")]
    os.chdir(made["folder"])
    words = [*made["flags"], *(word for word in typed if key_of(word) not in given), *more]
    run_hydra("train", ["-m", *words], ["genlab", "train", "-m", *words], resume=sweep.path)


def as_json(sweep: Sweep) -> dict[str, Any]:
    """The sweep and its jobs as JSON can hold them."""
    jobs = sweep.jobs()
    return {
        "sweep": str(sweep.path),
        "command": sweep.metadata()["command"],
        "states": Counter(job.state for job in jobs),
        "jobs": [job.line() | {"images_seen": images_seen(sweep.run(job.id))} for job in jobs],
    }


def images_seen(run: Run) -> int:
    """Images seen as of the last lines that a run has logged; the best checkpoint's come last."""
    try:
        with run.metrics_file.open("rb") as file:
            file.seek(max(0, run.metrics_file.stat().st_size - 20_000))
            lines = file.read().decode(errors="replace").splitlines()
    except FileNotFoundError:
        return 0
    seen = [0]
    for line in lines:
        try:
            seen.append(int(json.loads(line)["images_seen"]))
        except (ValueError, KeyError, TypeError):
            continue  # half a line: it is being written, or was cut off
    return max(seen)


def show(sweep: Sweep) -> None:
    """Prints a table of the jobs, and what to type next."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    # How many are in which state
    jobs = sweep.jobs()
    where = sweep.shown()
    counts = Counter(job.state for job in jobs)
    tally = ", ".join(f"{number} {state}" for state, number in counts.items())
    table = Table(title=f"{where}: {tally or 'no jobs yet'}", title_justify="left")
    for name in ("job", "what it varies", "state", "images", "seconds", "best", "starts", "why"):
        table.add_column(name, overflow="fold")
    # A row a job
    common = set.intersection(*(set(job.overrides) for job in jobs)) if len(jobs) > 1 else set()
    for job in jobs:
        best = job.metrics.get("best")
        table.add_row(
            job.id,
            " ".join(word for word in job.overrides if word not in common),
            Text(job.state, style=COLOURS.get(job.state, "")),
            f"{images_seen(sweep.run(job.id)):,}",
            f"{job.seconds:.0f}" if job.seconds else "",
            "" if best is None else f"{best:.4g}",
            str(len(job.attempts)),
            job.reason or "",
        )
    # What to type next
    console = Console(width=None if sys.stdout.isatty() else 140, highlight=False)
    console.print(table)
    if counts.keys() - {"done", "running"}:
        console.print(f"Next:\n  genlab sweep resume {where}", markup=False, soft_wrap=True)
    elif counts.keys() == {"done"}:
        console.print(f"Next:\n  genlab compare {where}", markup=False, soft_wrap=True)
