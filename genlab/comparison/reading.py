"""Run directories below some folders, read into a leaderboard."""

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from genlab.comparison.flat import setting_hash
from genlab.comparison.leaderboard import FACTS, Leaderboard, Measured, RunRecord
from genlab.comparison.numbers import number_of_value
from genlab.errors import ConfigError
from genlab.runs.directory import Run
from genlab.sweeps.jobs import Job, Sweep
from genlab.system.clock import moment

__all__ = ["drop_unreadable", "find_runs", "read_leaderboard"]

MARK = "run.json"
TRACES = ("config.yaml", "metrics.jsonl", "summary.json", "checkpoints")
"""Files of a run directory; without its mark it is half written."""

COPIED = ("model", "data", "seed", "status", "fingerprint", "created", "classes")
LIKELIHOOD = re.compile(r"bp[dc]_(exact|(?:ais_)?iw(\d+)|(?:ais_)?elbo|vlb|ais)")


def read_leaderboard(roots: Sequence[Path]) -> Leaderboard:
    """Reads all runs at or below some folders; a sweep's directory is a folder of many.

    Raises:
        ConfigError: A folder does not exist, or there are no runs.
    """
    rows: list[RunRecord] = []
    board = Leaderboard(rows, [])
    seen: set[Path] = set()
    for root in roots:
        if not root.is_dir():
            raise ConfigError(f"{root}: there is no such directory")
        jobs = read_sweeps(root, board)
        for path in find_runs(root):
            if path.resolve() in seen:
                continue
            seen.add(path.resolve())
            if not (path / MARK).exists():
                board.damaged.append((path, f"half written: there is no {MARK}"))
                continue
            try:
                rows += read_run(Run(path), root, jobs)
            except (ConfigError, OSError, ValueError, TypeError, KeyError, AttributeError) as error:
                kind = "" if isinstance(error, ConfigError) else f"{type(error).__name__}: "
                said = f"{kind}{error}".replace(f"{path}{os.sep}", "")
                board.damaged.append((path, " ".join(said.split())))
    if not rows and not board.damaged:
        where = ", ".join(str(root) for root in roots)
        raise ConfigError(f"{where}: there are no runs; start with genlab train")
    # The oldest first; the ways of sampling of a run in the order of their names
    rows.sort(key=lambda row: (moment(row.facts["created"]), str(row.path), row.suffix))
    return board


def drop_unreadable(board: Leaderboard) -> Leaderboard:
    """The leaderboard with runs whose config.yaml cannot be read among the damaged ones."""
    rows, damaged = [], list(board.damaged)
    for row in board.rows:
        try:
            row.config  # noqa: B018  read here, and kept
            rows.append(row)
        except ConfigError as error:
            damaged.append((row.path, str(error).replace(f"{row.path}{os.sep}", "")))
    return replace(board, rows=rows, damaged=damaged)


def find_runs(root: Path) -> Iterator[Path]:
    """The run directories at or below a folder, those that are half written included.

    What lies inside a run directory is not looked at: checkpoints, media and logs are many files.
    """
    for folder, below, files in os.walk(root):
        below[:] = sorted(name for name in below if not name.startswith("."))
        path = Path(folder)
        if MARK in files or any(name in files for name in TRACES[:3]):
            below.clear()
            yield path


def read_sweeps(root: Path, board: Leaderboard) -> dict[Path, tuple[Path, Job]]:
    """The jobs of the sweeps at or below a folder, by their run directories.

    Jobs that are not done go into the notes.
    """
    found: dict[Path, tuple[Path, Job]] = {}
    for mark in sorted(root.glob("**/sweep.json")) if not (root / MARK).exists() else []:
        folder = mark.parent
        try:
            jobs = Sweep.open(folder).jobs()
        except (ConfigError, OSError) as error:
            board.damaged.append((folder, " ".join(str(error).split())))
            continue
        found |= {folder / job.id: (folder, job) for job in jobs}
        states = [job.state for job in jobs if job.state != "done"]
        if states:
            tally = ", ".join(f"{states.count(s)} {s}" for s in dict.fromkeys(states))
            board.notes.append(
                f"sweep {folder}: {len(states)} of {len(jobs)} jobs are not done ({tally}); "
                f"genlab sweep resume {folder}"
            )
    return found


def read_run(run: Run, root: Path, jobs: dict[Path, tuple[Path, Job]]) -> list[RunRecord]:
    """Reads a run directory at or below a folder.

    Returns:
        Its row, and one for each other way of sampling with which it was evaluated.

    Raises:
        ConfigError: A file of it is damaged; other errors where what it says makes no sense.
    """
    identity, summary = run.read(MARK), run.read("summary.json")
    # What the run says of itself
    facts: dict[str, Any] = {key: identity.get(key) for key in COPIED}
    facts |= {key: numeral(summary.get(key)) for key in FACTS}
    facts["nfe"] = None
    facts["samples_per_second"] = None  # of a report that was made where the run was trained
    facts |= {"device": device_of(run, summary)}
    facts |= {key: summary.get(key) for key in ("best_metric", "best", "best_images")}
    if facts["images_seen"] is None and identity.get("images_seen") is not None:
        facts["images_seen"] = numeral(identity["images_seen"])
    # Its reports, by the way of sampling
    reports = [
        json.loads(file.read_text(encoding="utf-8"))
        for pattern in ("evaluation/*.json", "applications/*/*.json")
        for file in run.path.glob(pattern)
    ]
    ways: dict[str, list[dict[str, Any]]] = {"{}": []}
    for report in sorted(reports, key=lambda report: moment(report["created"])):
        way = json.dumps(dict(report.get("sampling", {})), sort_keys=True)
        ways.setdefault(way, []).append(report)
    # A row each
    name = run.name if run.path == root else run.path.relative_to(root).as_posix()
    text = run.config_file.read_text(encoding="utf-8") if run.config_file.is_file() else ""
    sweep, job = jobs.get(run.path, (None, None))
    row = RunRecord(
        run.path,
        name,
        facts,
        {},
        setting_hash(text),
        text,
        None if sweep is None else (sweep.relative_to(root).as_posix() if sweep != root else ""),
        () if job is None else job.overrides,
    )
    device = str(summary.get("device"))
    return [with_numbers(row, json.loads(way), found, device) for way, found in ways.items()]


def with_numbers(
    row: RunRecord, sampling: Mapping[str, Any], reports: Sequence[dict[str, Any]], device: str
) -> RunRecord:
    """A run's row with the numbers of its reports of one way of sampling.

    Args:
        row: The run.
        sampling: The way.
        reports: Its reports, the oldest first.
        device: Where the run was trained; the speed of drawing elsewhere is none of its facts.
    """
    metrics: dict[str, Measured] = {}
    facts = dict(row.facts)
    for report in reports:
        metrics |= dict(values(report))
        if report.get("nfe") is not None:
            facts["nfe"] = numeral(report["nfe"])
        speed, where = report.get("samples_per_second"), str(report.get("device") or device)
        if speed is not None and where.split(":")[0] == device.split(":")[0]:
            facts["samples_per_second"] = numeral(speed)
    tightest = tightest_bits(metrics)
    if tightest is not None:
        metrics["bpd"] = tightest
    row = replace(row, facts=facts, metrics=metrics, sampling=sampling)
    return replace(row, name=row.name + row.suffix)


def numeral(value: Any) -> int | float | None:
    """A number as it was written.

    Raises:
        TypeError: It is none.
    """
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    raise TypeError(f"{value!r} is no number")


def device_of(run: Run, summary: dict[str, Any]) -> str | None:
    """The device that trained it: the GPU's name, or the CPU and its threads."""
    device = summary.get("device")
    if device is None:
        return None
    machine = run.read("environment.json")
    if str(device).startswith("cuda") and machine.get("gpu"):
        gpu = machine["gpu"][0]
        return str(gpu.get("name", gpu) if isinstance(gpu, dict) else gpu)
    threads = machine.get("threads")
    return f"{device} ({threads} thread{'s' * (threads != 1)})" if threads else str(device)


def values(report: dict[str, Any]) -> Iterator[tuple[str, Measured]]:
    """The numbers of an evaluation report."""
    for value in report["values"]:
        identity = {
            "data": report["fingerprint"],
            "split": value["split"],
            "images": value["n"],
            "extractor": value["extractor_id"],
            "metric": value.get("metric_id", ""),
        }
        yield (
            str(value["key"]),
            Measured(
                value=float(value["value"]),
                number=number_of_value(value),
                floor=None if value["floor"] is None else float(value["floor"]),
                identity=tuple(identity.items()),
            ),
        )


def tightest_bits(metrics: dict[str, Measured]) -> Measured | None:
    """The bits/dim that says most: exact, else the bound of most samples, else the ELBO.

    An estimate, which may be too good, compares with estimates alone.
    """
    best: tuple[float, Measured] | None = None
    for key, measured in metrics.items():
        match = LIKELIHOOD.fullmatch(key)
        if match is None:
            continue
        order = float("inf") if match[1] == "exact" else float(match[2] or 0)
        if best is None or order > best[0]:
            said = "estimate" if match[1].startswith("ais") else "exact or a bound"
            identity = (*measured.identity, ("likelihood", said))
            number = replace(measured.number, shown=True)
            best = order, replace(measured, kind=match[1], number=number, identity=identity)
    return None if best is None else best[1]
