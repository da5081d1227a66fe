"""What run directories say of their models, and which of it may be ranked together."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from genlab.errors import ConfigError, nearest
from genlab.runs import Run, list_runs

__all__ = ["Board", "Measured", "Row", "blocks", "choose_key", "over_seeds", "read_board"]

PREFERRED = ("fid", "fd_digits", "fd_fashion", "fd_", "nll")
"""Beginnings of the metric to rank by where none is named, the first that a run has."""

OWN = ("seed:", "name:", "run:", "root:", "group:", "notes:")
"""Lines of a config that differ between runs of one setting."""

FACTS = ("images_seen", "train_seconds", "parameters")
"""What is known without an evaluation; a ranking by it has no floor and no protocol."""


@dataclass(frozen=True)
class Measured:
    """A number of an evaluation report, with all that makes it what it is.

    Args:
        value: The number.
        lower_is_better: Which way.
        floor: The same of real images against real ones, where that was measured.
        identity: What must be equal for two numbers to be comparable: data, split, the number of
            images, and the extractor's weights.
        std: Standard deviation over training seeds (divisor n - 1), where it is a mean.
        runs: How many runs it is of.
    """

    value: float
    lower_is_better: bool
    floor: float | None
    identity: tuple[tuple[str, Any], ...]
    std: float | None = None
    runs: int = 1


@dataclass(frozen=True)
class Row:
    """A run.

    Args:
        path: Its directory, as it was found.
        name: The same from the place where it was looked for.
        facts: Model, data, seed, status, images seen ...
        metrics: The newest measurement under each key.
        setting: Hash of its config but for the seed and its names; empty where there is none.
    """

    path: Path
    name: str
    facts: dict[str, Any]
    metrics: dict[str, Measured] = field(default_factory=dict)
    setting: str = ""


@dataclass(frozen=True)
class Board:
    """All runs that were found.

    Args:
        rows: Those that can be read.
        damaged: Path and reason of those that cannot.
    """

    rows: list[Row]
    damaged: list[tuple[Path, str]]

    @property
    def keys(self) -> list[str]:
        """The metrics' keys, those of most runs first."""
        counts: dict[str, int] = {}
        for row in self.rows:
            for key in row.metrics:
                counts[key] = counts.get(key, 0) + 1
        return sorted(counts, key=lambda key: (-counts[key], key))


def read_board(places: Sequence[Path]) -> Board:
    """Reads all runs at or below some places.

    Raises:
        ConfigError: A place does not exist, or there are no runs.
    """
    rows, damaged = [], []
    for place in places:
        if not place.is_dir():
            raise ConfigError(f"{place}: there is no such directory")
        for run in list_runs(place):
            try:
                rows.append(read_row(run, place))
            except (ConfigError, OSError, ValueError, TypeError, KeyError, AttributeError) as error:
                damaged.append((run.path, " ".join(f"{type(error).__name__}: {error}".split())))
    if not rows and not damaged:
        where = ", ".join(str(place) for place in places)
        raise ConfigError(f"{where}: there are no runs; start with genlab train")
    return Board(rows, damaged)


def read_row(run: Run, place: Path) -> Row:
    """Reads a run directory at or below a place."""
    identity, summary = run.read("run.json"), run.read("summary.json")
    facts = {key: identity.get(key) for key in ("model", "data", "seed", "status", "fingerprint")}
    facts |= {key: None if key not in summary else float(summary[key]) for key in FACTS}
    reports = [json.loads(file.read_text()) for file in run.path.glob("evaluation/*.json")]
    metrics: dict[str, Measured] = {}
    for report in sorted(reports, key=lambda report: str(report["created"])):
        metrics |= dict(values(report))
    name = run.name if run.path == place else run.path.relative_to(place).as_posix()
    return Row(run.path, name, facts, metrics, setting_of(run))


def setting_of(run: Run) -> str:
    """What runs of one setting share: the hash of the config less the seed and the names.

    The lines are compared, not parsed: configs are written in one form, and parsing is slow.
    """
    if not run.config_file.is_file():
        return ""
    lines = run.config_file.read_text().splitlines()
    kept = [line for line in lines if not line.startswith(OWN)]
    return hashlib.sha256("\n".join(kept).encode()).hexdigest()


def over_seeds(board: Board) -> Board:
    """The board with one row a setting: runs that differ in the seed alone become their mean."""
    groups: dict[str, list[Row]] = {}
    for row in board.rows:
        groups.setdefault(row.setting or str(row.path), []).append(row)
    return Board([together(rows) for rows in groups.values()], board.damaged)


def together(rows: Sequence[Row]) -> Row:
    """Rows of one setting as one; of several runs of a seed, the newest counts."""
    by_seed = {row.facts["seed"]: row for row in rows}
    rows = list(by_seed.values())
    first = rows[0]
    if len(rows) == 1:
        return first
    facts = dict(first.facts)
    facts["seed"] = ",".join(str(seed) for seed in sorted(by_seed, key=str))
    for key in FACTS:
        numbers = [row.facts[key] for row in rows if row.facts[key] is not None]
        facts[key] = mean(numbers) if numbers else None
    keys = dict.fromkeys(key for row in rows for key in row.metrics)
    metrics = {key: average([r.metrics[key] for r in rows if key in r.metrics]) for key in keys}
    return Row(first.path, f"{first.name} +{len(rows) - 1}", facts, metrics, first.setting)


def average(found: Sequence[Measured]) -> Measured:
    """The mean over seeds, of those numbers that compare with the first."""
    alike = [m for m in found if m.identity == found[0].identity]
    numbers = [m.value for m in alike]
    return replace(
        alike[0],
        value=mean(numbers),
        std=stdev(numbers) if len(numbers) > 1 else None,
        runs=len(numbers),
    )


def values(report: dict[str, Any]) -> Iterator[tuple[str, Measured]]:
    """The numbers of an evaluation report."""
    for value in report["values"]:
        identity = {
            "data": report["fingerprint"],
            "split": value["split"],
            "images": value["n"],
            "extractor": value["extractor_id"],
        }
        yield (
            str(value["key"]),
            Measured(
                value=float(value["value"]),
                lower_is_better=value["better"] == "lower",
                floor=None if value["floor"] is None else float(value["floor"]),
                identity=tuple(identity.items()),
            ),
        )


def choose_key(board: Board, asked: str | None) -> str:
    """The key to rank by.

    Raises:
        ConfigError: No run has the one that was asked for.
    """
    known = board.keys
    if asked is not None:
        if asked not in (*known, *FACTS):
            raise ConfigError(
                f"--sort {asked}: no run has it{nearest(asked, [*known, *FACTS]) or ';'} "
                f"there are {', '.join([*known, *FACTS])}"
            )
        return asked
    for start in PREFERRED:
        for key in known:
            if key.startswith(start):
                return key
    return known[0] if known else "images_seen"


def blocks(board: Board, key: str) -> list[list[Row]]:
    """The runs in blocks whose numbers under the key compare, best first, larger blocks first.

    Runs without the number come last, in a block of their own.
    """
    found: dict[Any, list[Row]] = {}
    for row in board.rows:
        group = row.metrics[key].identity if key in row.metrics else None
        found.setdefault(group, []).append(row)
    without = found.pop(None, [])
    ranked = []
    for block in sorted(found.values(), key=len, reverse=True):
        sign = 1 if block[0].metrics[key].lower_is_better else -1
        ranked.append(sorted(block, key=lambda row: sign * row.metrics[key].value))
    if key in FACTS:
        without.sort(key=lambda row: (row.facts[key] is None, row.facts[key] or 0))
    return [*ranked, without] if without else ranked
