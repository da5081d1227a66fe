"""The run directory: the unit in which genlab keeps what it did. Imports nothing heavy.

runs/<name>/
    config.yaml       the resolved configuration, enough to rebuild data, model and trainer
    environment.json  versions, machine and command line
    run.json          identity and state: name, created, status, data fingerprint, W&B id
    metrics.jsonl     the history, one line a logging event
    alerts.jsonl      warnings that a person should read, one a line
    summary.json      what the history amounts to
    checkpoints/      last.ckpt, the one before, best.ckpt; the SHA-256 of each beside it
    evaluation/       reports of `genlab evaluate`
    samples/ reconstructions/ interpolations/   pictures, named by the images seen
"""

import json
import os
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genlab.errors import ConfigError, nearest
from genlab.system.clock import moment, now
from genlab.system.paths import shown, write_json
from genlab.system.secrets import redact

__all__ = ["JOB_DIRECTORY", "Run", "create_run", "find_run", "list_runs"]

MARK = "run.json"
LATEST = ("last", "latest")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._=-]{0,63}")


@dataclass(frozen=True)
class Run:
    """A run directory that exists.

    Args:
        path: The directory.
    """

    path: Path

    @property
    def name(self) -> str:
        """The directory's name."""
        return self.path.name

    @property
    def config_file(self) -> Path:
        """The resolved configuration."""
        return self.path / "config.yaml"

    @property
    def metrics_file(self) -> Path:
        """The history, one JSON object a line."""
        return self.path / "metrics.jsonl"

    @property
    def alerts_file(self) -> Path:
        """Warnings that a person should read, one JSON object a line."""
        return self.path / "alerts.jsonl"

    def name_below(self, root: Path) -> str:
        """The path below a root: unique there, and what trackers and the dashboard call the run.

        Example:
            >>> Run(Path("runs/sweep/0_a")).name_below(Path("runs"))
            'sweep/0_a'
        """
        path, root = self.path.resolve(), root.resolve()
        return path.relative_to(root).as_posix() if root in path.parents else path.name

    def checkpoint(self, which: str = "last") -> Path:
        """The path of the ``last`` or the ``best`` checkpoint, whether or not it exists yet."""
        return self.path / "checkpoints" / f"{which}.ckpt"

    def read(self, name: str) -> dict[str, Any]:
        """A JSON file of the run, empty if the run has none of that name.

        Raises:
            ConfigError: The file is damaged.
        """
        file = self.path / name
        if not file.exists():
            return {}
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ConfigError(f"{file} is damaged: {error}") from None
        if not isinstance(content, dict):
            raise ConfigError(f"{file} is damaged: a JSON object is expected")
        return content

    def update(self, name: str, **values: Any) -> None:
        """Sets values in a JSON file of the run."""
        write_json(self.path / name, self.read(name) | values)

    def shown(self) -> str:
        """The path as a person would type it: relative where that is shorter."""
        return shown(self.path)


def create_run(root: Path, name: str | None, model: str, data: str, seed: int) -> Run:
    """Makes a new run directory, readable by its owner alone.

    Args:
        root: Where the runs lie.
        name: The directory's name; made of the time, the model and the data if None.
        model: Name of the model's config.
        data: Name of the data's config.
        seed: The seed.

    Raises:
        ConfigError: The name is no plain file name, the directory exists, or root cannot be
            written to.
    """
    stamp = time.strftime("%Y-%m-%d_%H-%M-%S")
    chosen = name or f"{stamp}_{model}-{data}-s{seed}"
    if not NAME.fullmatch(chosen):
        raise ConfigError(
            f"name={chosen!r}: 1 to 64 of A-Z, a-z, 0-9, . _ = - are allowed, no path; the first "
            "is a letter or a digit"
        )
    if root.exists() and not root.is_dir():
        raise ConfigError(f"root={root}: is a file, a directory is needed")
    for attempt in range(100):
        path = root / (chosen if attempt == 0 else f"{chosen}-{attempt + 1}")
        try:
            root.mkdir(parents=True, exist_ok=True)
            path.mkdir(mode=0o700)
        except FileExistsError:
            if name is not None:
                resume = f"resume it with run={path} or " if (path / MARK).is_file() else ""
                raise ConfigError(
                    f"name={name}: {path} exists; {resume}choose another name"
                ) from None
            continue
        except OSError as error:
            raise ConfigError(f"root={root}: cannot be written to ({error.strerror})") from None
        return mark_run(path, model=model, data=data, seed=seed)
    raise ConfigError(f"root={root}: too many runs were started in this second")


def mark_run(path: Path, **identity: Any) -> Run:
    """Makes a directory a run directory."""
    write_json(
        path / MARK,
        {
            "created": now(),
            "status": "created",
            "command": redact([*(Path(word).name for word in sys.argv[:1]), *sys.argv[1:]]),
            **identity,
        },
    )
    return Run(path)


def list_runs(root: Path) -> list[Run]:
    """All run directories at or below root, oldest first."""
    if (root / MARK).exists():
        return [Run(root)]
    return [Run(file.parent) for file in sorted(root.glob(f"**/{MARK}"), key=created)]


def created(mark: Path) -> tuple[float, str]:
    """Time at which the run of this mark was created, to sort by; a damaged mark comes first."""
    try:
        return moment(json.loads(mark.read_text(encoding="utf-8")).get("created")), str(mark)
    except (ValueError, AttributeError, OSError):
        return 0.0, str(mark)


def find_run(text: str, root: Path, key: str = "run") -> Run:
    """The run that a user means by a path, a name under root, or ``last``.

    Args:
        text: What the user typed.
        root: Where the runs lie.
        key: The key that it was typed for.

    Raises:
        ConfigError: There is no such run; names the nearest.
    """
    if text in LATEST:
        runs = list_runs(root) if root.is_dir() else []
        if not runs:
            raise ConfigError(
                f"{key}={text}: there is no run under {root} yet; start with genlab train"
            )
        return runs[-1]
    places = (Path(os.path.expanduser(text)), root / text)  # ./~ is a folder
    for path in places:
        if (path / MARK).is_file():
            return Run(path.resolve())
    for path in places:
        if path.exists():
            raise ConfigError(f"{key}={text} is not a run directory{whereabouts(path, key)}")
    known = [run.name for run in list_runs(root)] if root.is_dir() else []
    name = Path(text).name
    hint = f"; did you mean {name!r}?" if name in known and name != text else nearest(name, known)
    raise ConfigError(f"{key}={text} does not exist{hint}")


def whereabouts(path: Path, key: str) -> str:
    """Where the run is that a path leads past: above it, or below; empty where there is none."""
    for above in path.parents:
        if (above / MARK).is_file():
            which = f" checkpoint={path.stem}" if path.stem in ("last", "best") else ""
            return f", but lies in one: {key}={shown(above)}{which}"
    below = [shown(run.path) for run in list_runs(path)] if path.is_dir() else []
    listed = ", ".join(below[:5]) + (", ..." if len(below) > 5 else "")
    return f"; it holds {listed}" if below else ""


JOB_DIRECTORY = "GENLAB_JOB_DIRECTORY"
"""Tells a job's process the run directory that it is to fill."""
