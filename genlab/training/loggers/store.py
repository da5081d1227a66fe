"""The local dashboard's store: trackio's SQLite and media files in ``<run root>/.trackio``.

Trackio fixes its directory when it is first imported, may ask the Hugging Face hub who the user
is, and takes a server's address from the environment. Here it is bound to a run root and kept on
this machine, whatever the environment says. Runs can also be imported from their own directories,
so the store is never the only place where something is written.
"""

import contextlib
import importlib
import io
import json
import re
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from genlab.runs.directory import Run
from genlab.runs.history import read_metrics
from genlab.system.patching import environment, replaced

__all__ = ["PROJECT", "begin", "bind", "end", "flat", "import_run", "local", "missing", "rewind"]

PROJECT = "genlab"
"""The project in the store."""

DIRECTORY = ".trackio"
"""The store's directory below the run root."""

AT_REST = 60.0
"""Seconds after which a history that is not written to belongs to no running process."""

REMOTE = ("SPACE_ID", "SERVER_URL", "BUCKET_ID", "DATASET_ID", "WEBHOOK_URL", "WRITE_TOKEN")
"""Variables TRACKIO_... with which trackio would send data elsewhere."""

PICTURE = re.compile(r"(\d{9})(?:_(\d+))?\.png")


@contextlib.contextmanager
def local() -> Iterator[None]:
    """Inside, trackio neither leaves this machine nor writes to standard output."""
    hidden = dict.fromkeys((f"TRACKIO_{name}" for name in REMOTE), None)
    with environment(**hidden), contextlib.redirect_stdout(io.StringIO()):
        yield


def bind(root: Path) -> Path:
    """Imports trackio with its store below a run root, or moves it there if it was elsewhere.

    Returns:
        The store's directory, which exists.

    Raises:
        RuntimeError: This trackio keeps its directory where it cannot be set.
    """
    directory = (root / DIRECTORY).resolve()
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with environment(TRACKIO_DIR=str(directory)), local():
        trackio = importlib.import_module("trackio")
    places = {
        "TRACKIO_DIR": directory,
        "MEDIA_DIR": directory / "media",
        "ARTIFACTS_DIR": directory / "artifacts",
    }
    for name, module in list(sys.modules.items()):
        if name.split(".", 1)[0] == "trackio":
            for constant, place in places.items():
                if isinstance(getattr(module, constant, None), Path):
                    setattr(module, constant, place)
    if trackio.SQLiteStorage.get_project_db_path(PROJECT).parent != directory:
        raise RuntimeError(f"trackio {trackio.__version__} cannot be bound to {directory}")
    return directory


def begin(
    root: Path,
    project: str,
    name: str,
    *,
    config: Mapping[str, Any],
    group: str | None,
    fresh: bool = False,
) -> Any:
    """Begins a run in the store, or continues the one of this name.

    Args:
        root: The run root.
        project: Name of the project in the store.
        name: The run's name.
        config: Its configuration, flat.
        group: Its sweep.
        fresh: Forget a run of this name: its directory was deleted, this is another run.
    """
    bind(root)
    trackio = sys.modules["trackio"]
    with local():
        if fresh:
            forget(project, name)
        # trackio asks the hub for the user's name if there is a token.
        with replaced(trackio.Run, "_get_username", _nobody):
            return trackio.init(
                project,
                name=name,
                group=group,
                config=dict(config),
                resume="allow",
                embed=False,
                auto_log_cpu=False,
                auto_log_gpu=False,
            )


def _nobody(run: Any) -> None:
    """The user's name at the Hugging Face hub."""


def end(run: Any) -> None:
    """Writes what is queued, and takes the run out of trackio's hands."""
    variable = sys.modules["trackio"].context_vars.current_run
    with local():
        run.finish()
    if variable.get() is run:
        variable.set(None)


def forget(project: str, name: str) -> None:
    """Deletes a run from the store, its pictures included."""
    trackio = sys.modules["trackio"]
    trackio.SQLiteStorage.delete_run(project, name)
    shutil.rmtree(trackio.get_project_media_path(project, name))


def rewind(root: Path, project: str, run: Run, name: str, images_seen: int, **about: Any) -> None:
    """Drops what a run has in the store beyond the images seen, from its rewound history."""
    bind(root)
    last = sys.modules["trackio"].SQLiteStorage.get_max_step_for_run(project, name)
    if last is not None and last > images_seen:
        forget(project, name)
        import_run(root, project, run, name, upto=images_seen, **about)


def missing(root: Path, project: str, runs: Mapping[str, Run]) -> dict[str, int]:
    """The runs of which the store lacks something, and the images seen up to which it has them.

    Args:
        root: The run root.
        project: Name of the project in the store.
        runs: Run directories by the runs' names.

    Returns:
        Names, and the last number of images seen in the store (-1 for none). A run that is
        perhaps still being written is behind by nature, and left out if the store has it.
    """
    bind(root)
    storage = sys.modules["trackio"].SQLiteStorage
    known = set(storage.get_runs(project))
    lacking = {}
    for name, run in runs.items():
        if name not in known:
            lacking[name] = -1
        elif time.time() - run.metrics_file.stat().st_mtime > AT_REST:
            last = storage.get_max_step_for_run(project, name)
            last = -1 if last is None else last
            if any(row["images_seen"] > last for row in read_metrics(run.metrics_file).rows):
                lacking[name] = last
    return lacking


def import_run(
    root: Path,
    project: str,
    run: Run,
    name: str,
    *,
    config: Mapping[str, Any] | None = None,
    group: str | None = None,
    after: int = -1,
    upto: int | None = None,
) -> int:
    """Copies a run's history and pictures from its directory into the store.

    Args:
        root: The run root.
        project: Name of the project in the store.
        run: The run directory.
        name: The run's name in the store.
        config: Its configuration, nested.
        group: Its sweep.
        after: Only what was logged after so many images seen.
        upto: Only what was logged up to so many images seen.

    Returns:
        The number of rows and pictures imported.
    """
    bind(root)
    trackio = sys.modules["trackio"]
    rows, steps, times = [], [], []
    for row in read_metrics(run.metrics_file).rows:
        metrics = {k: v for k, v in row.items() if k not in ("images_seen", "time", "seconds")}
        rows.append(metrics)
        steps.append(row["images_seen"])
        times.append(row.get("time"))
    for file in sorted(run.path.glob("*/*.png")):
        number = PICTURE.fullmatch(file.name)
        if number is None:
            continue
        place = trackio.get_project_media_path(project, name, int(number[1]))
        shutil.copyfile(file, place / f"{file.parent.name}-{file.name}")
        kind = file.parent.name if number[2] is None else f"{file.parent.name}/{number[2]}"
        relative = (place / f"{file.parent.name}-{file.name}").relative_to(media(trackio))
        value = {"_type": trackio.Image.TYPE, "file_path": str(relative), "caption": None}
        rows.append({kind: value})
        steps.append(int(number[1]))
        times.append(file.stat().st_mtime)
    wanted = [i for i, s in enumerate(steps) if s > after and (upto is None or s <= upto)]
    begun = trackio.SQLiteStorage.get_latest_run_record_by_name(project, name)
    created = stamp(min((t for t in times if t is not None), default=None))
    with local():
        trackio.SQLiteStorage.bulk_log(
            project,
            name,
            [rows[i] for i in wanted],
            steps=[steps[i] for i in wanted],
            timestamps=[stamp(times[i]) for i in wanted],
            config=flat(config or {}) | {"_Username": None, "_Created": created, "_Group": group},
            run_id=begun["id"] if begun else name,
        )
    return len(wanted)


def media(trackio: Any) -> Path:
    """Where the store keeps its pictures."""
    place: Path = trackio.utils.MEDIA_DIR
    return place


def stamp(seconds: float | None) -> str:
    """A Unix time as trackio writes it; now, where there is none."""
    return datetime.fromtimestamp(time.time() if seconds is None else seconds, UTC).isoformat()


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested configuration with dotted keys, so that a table can compare it key by key.

    Example:
        >>> flat({"model": {"latent": 8, "_target_": "a.B"}, "tags": ["x"]})
        {'model.latent': 8, 'model._target_': 'a.B', 'tags': '["x"]'}
    """
    out: dict[str, Any] = {}
    for key, value in config.items():
        # A leading underscore is trackio's own.
        name = f"{prefix}{key}" if prefix else str(key).lstrip("_")
        if isinstance(value, Mapping):
            out |= flat(value, f"{name}.")
        elif isinstance(value, list | tuple):
            out[name] = json.dumps(value, default=str)
        else:
            out[name] = value
    return out
