"""A leaderboard of runs as a table in Weights & Biases."""

import csv
import io
import os
import sys
from pathlib import Path
from typing import Any

from genlab.comparison.ranking import blocks, choose_key
from genlab.comparison.reading import read_leaderboard
from genlab.comparison.seeds import named, over_seeds
from genlab.comparison.writing import to_csv
from genlab.errors import ConfigError
from genlab.runs.directory import Run, list_runs
from genlab.system.paths import write_json
from genlab.training.loggers.wandb_mode import NO_KEY, choose_mode

__all__ = ["CLOUD", "Place", "after_sweep", "numeric", "publish", "table"]

CLOUD = "https://api.wandb.ai"


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
    board = named(over_seeds(read_leaderboard([place])))
    columns, *rows = csv.reader(io.StringIO(to_csv(board, blocks(board, choose_key(board, None)))))
    kinds = [all(numeric(row[i]) for row in rows) for i in range(len(columns))]
    return columns, [
        [(float(cell) if cell else None) if is_number else cell or None
         for cell, is_number in zip(row, kinds, strict=True)]
        for row in rows
    ]  # fmt: skip


def numeric(cell: str) -> bool:
    """True if a cell is a number, or empty."""
    try:
        float(cell or 0)
    except ValueError:
        return False
    return True
