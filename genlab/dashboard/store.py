"""Store of the dashboard: trackio's SQLite file and pictures, in a temporary directory.

The run directories are the truth and the store a copy of them for trackio's page, made anew by each
dashboard and deleted with it. So two dashboards of one root do not disturb each other, a root may
be read-only or lie on a network (where SQLite is unsafe), and no store of an older version is read.
"""

import os
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from genlab.comparison.flat import table_values
from genlab.errors import GenlabError, StorageError
from genlab.system.patching import environment

__all__ = ["PROJECT", "Picture", "Row", "Store", "Update", "open_store"]

PROJECT = "genlab"
"""The project in the store."""

PLOT_ORDER = "val/*,train/loss,train/*,test/*,quick/*"
"""What comes first on the page."""

REMOTE = ("SPACE_ID", "SERVER_URL", "BUCKET_ID", "DATASET_ID", "WEBHOOK_URL", "WRITE_TOKEN")
"""Variables TRACKIO_... with which trackio would send data elsewhere."""


class Row(NamedTuple):
    """Row of a run's log at one moment: metrics by name, or the texts of alerts by title."""

    images_seen: int
    time: float  # Unix seconds
    values: Mapping[str, Any]


class Picture(NamedTuple):
    """A PNG of a run, of a kind such as ``samples`` or, the second of several, ``samples/1``."""

    images_seen: int
    time: float  # Unix seconds
    kind: str
    content: bytes


class Update(NamedTuple):
    """News of a run."""

    rows: Sequence[Row]
    alerts: Sequence[Row]
    pictures: Sequence[Picture]  # one of a known kind and step is replaced
    config: Mapping[str, Any] | None  # by dotted keys; None where it did not change


@contextmanager
def open_store() -> Iterator["Store"]:
    """A store that lives as long as the block; inside, trackio sends nothing to other machines.

    Raises:
        StorageError: There is no directory for temporary files.
    """
    try:
        directory = tempfile.TemporaryDirectory(prefix="genlab-dashboard-")
    except OSError as error:
        raise StorageError(f"no place for temporary files ({error}); TMPDIR=DIR sets one") from None
    foreign = [name for name in os.environ if name.startswith("GRADIO_")]  # of other pages
    variables = dict.fromkeys([*foreign, *(f"TRACKIO_{name}" for name in REMOTE)], None) | {
        "TRACKIO_DIR": directory.name,
        "TRACKIO_SQLITE_SYNCHRONOUS": "off",  # a store that is thrown away need not survive a crash
        "TRACKIO_PLOT_ORDER": os.environ.get("TRACKIO_PLOT_ORDER", PLOT_ORDER),
    }
    with directory as path, environment(**variables):
        yield Store(Path(path).resolve())


class Store:
    """Runs by name, as trackio's page shows them.

    Args:
        directory: An empty directory, trackio's own from now on.
    """

    def __init__(self, directory: Path):
        self.directory = directory
        self.trackio = bind(directory)
        self.database = self.trackio.SQLiteStorage
        self.database.init_db(PROJECT)  # the page asks for the project before there is a run
        self.configs: dict[str, dict[str, Any]] = {}

    def write(self, run: str, new: Update) -> None:
        """Adds to a run, which is made where there is none of this name.

        Raises:
            StorageError: The directory cannot be written to.
            TypeError: JSON cannot hold a value.
        """
        try:
            shown = [row for picture in new.pictures if (row := self._save(run, picture))]
            self._log(run, [*new.rows, *shown], new.config)
            self._alert(run, new.alerts)
        except (OSError, sqlite3.OperationalError) as error:
            raise StorageError(
                f"{self.directory}: cannot be written to ({error}); TMPDIR=DIR sets another place"
            ) from None

    def _log(self, run: str, rows: Sequence[Row], config: Mapping[str, Any] | None) -> None:
        if config is not None:
            first = stamp(min((row.time for row in rows), default=time.time()))
            created = self.configs.get(run, {}).get("_Created", first)
            self.configs[run] = described(config) | {"_Created": created}
        self.database.bulk_log(
            PROJECT,
            run,
            [dict(row.values) for row in rows],
            steps=[row.images_seen for row in rows],
            timestamps=[stamp(row.time) for row in rows],
            config=self.configs.get(run),
            run_id=run,
        )

    def _alert(self, run: str, rows: Sequence[Row]) -> None:
        alerts = [(row, title, text) for row in rows for title, text in row.values.items()]
        self.database.bulk_alert(
            PROJECT,
            run,
            titles=[title for _, title, _ in alerts],
            texts=[str(text) for _, _, text in alerts],
            levels=[self.trackio.AlertLevel.WARN.value] * len(alerts),
            steps=[row.images_seen for row, _, _ in alerts],
            timestamps=[stamp(row.time) for row, _, _ in alerts],
            run_id=run,
        )

    def _save(self, run: str, picture: Picture) -> Row | None:
        """Writes a picture's file; returns the row that shows it, None where one does already."""
        folder: Path = self.trackio.get_project_media_path(PROJECT, run, picture.images_seen)
        file = folder / f"{picture.kind}.png"
        known = file.exists()
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(picture.content)
        value = {
            "_type": self.trackio.Image.TYPE,
            "file_path": str(file.relative_to(self.trackio.utils.MEDIA_DIR)),
            "caption": None,
        }
        return None if known else Row(picture.images_seen, picture.time, {picture.kind: value})

    def forget(self, run: str) -> None:
        """Deletes a run and its pictures."""
        self.configs.pop(run, None)
        self.database.delete_run(PROJECT, run)
        shutil.rmtree(self.trackio.get_project_media_path(PROJECT, run))


def described(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration as trackio compares it; names with a leading underscore are trackio's."""
    plain = {
        key.lstrip("_"): str(value) if isinstance(value, int) and value.bit_length() > 63 else value
        for key, value in table_values(config).items()
    }
    return plain | {"_Group": config.get("group"), "_Username": None}


def stamp(seconds: float) -> str:
    """A Unix time as trackio writes it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def bind(directory: Path) -> Any:
    """Trackio, with its files in this directory; it fixes another when it is first imported.

    Raises:
        GenlabError: There is no trackio, or one that keeps its directory where it cannot be set.
    """
    try:
        import trackio
    except ImportError as error:
        raise GenlabError(
            f"the dashboard needs trackio, which cannot be imported ({error}); pip install trackio"
        ) from None

    places = {
        "TRACKIO_DIR": directory,
        "MEDIA_DIR": directory / "media",
        "ARTIFACTS_DIR": directory / "artifacts",
    }
    for name, module in list(sys.modules.items()):
        if name.split(".", 1)[0] == "trackio":
            for constant, place in places.items():
                if hasattr(module, constant):
                    setattr(module, constant, place)
    if trackio.SQLiteStorage.get_project_db_path(PROJECT).parent != directory:
        raise GenlabError(
            f"trackio {trackio.__version__} cannot be bound to {directory}; "
            "pip install -U genlab brings one that can"
        )
    return trackio
