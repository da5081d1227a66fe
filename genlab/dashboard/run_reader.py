"""Incremental reader of a run directory: what was logged since it was last read."""

import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from genlab.comparison.flat import flat_config
from genlab.dashboard.store import Picture, Row, Update
from genlab.errors import ConfigError
from genlab.runs.directory import Run
from genlab.runs.history import decode
from genlab.system.terminal import notice

__all__ = ["Rewound", "RunReader"]

SETTLED = 2.0
"""Seconds after which another change would show in a time stamp, however coarse those are."""

PICTURE = re.compile(r"(\d{9})(?:_(\d+))?\.png")


class Rewound(Exception):
    """Lines that were read are gone: the run was resumed from an earlier checkpoint,
    or is another one of its name."""


class RunReader:
    """A run directory, read piece by piece.

    Args:
        run: The run.
    """

    def __init__(self, run: Run):
        self.run = run
        self.history, self.alerts = Tail(run.metrics_file), Tail(run.alerts_file)
        self.entries: dict[str, tuple[int, int]] = {}
        self.pictures: dict[Path, int] = {}
        self.config_time: int | None = -1

    def changed(self) -> bool:
        """True if there may be something new, by the times and sizes of what lies in the directory.

        A picture that is added or replaced changes the time of its folder.
        """
        entries = {}
        with os.scandir(self.run.path) as found:
            for entry in found:
                about = entry.stat(follow_symlinks=False)
                entries[entry.name] = (about.st_mtime_ns, about.st_size)
        age = time.time() - max((changed for changed, _ in entries.values()), default=0) / 1e9
        if entries == self.entries and age > SETTLED:
            return False
        self.entries = entries
        return True

    def read(self) -> Update | None:
        """News since the last call, None where there is none.

        Raises:
            FileNotFoundError: The run has logged nothing yet.
            Rewound: What was read before is no longer there.
        """
        rows = list(rows_of(self.history.read(), is_number))
        warned = self.run.alerts_file.exists()
        alerts = list(rows_of(self.alerts.read(), lambda v: isinstance(v, str))) if warned else []
        pictures = list(self._pictures())
        if not (rows or alerts or pictures):
            return None
        return Update(rows, alerts, pictures, self._config())

    def _pictures(self) -> Iterator[Picture]:
        directory = self.run.path.resolve()
        for file in sorted(self.run.path.glob("*/*.png")):
            number = PICTURE.fullmatch(file.name)
            if number is None or self.pictures.get(file) == (changed := file.lstat().st_mtime_ns):
                continue
            self.pictures[file] = changed
            try:
                if directory not in file.resolve().parents:
                    raise OSError("a link that leads out of the run directory")
                content = file.read_bytes()
            except OSError as error:
                notice(f"genlab: warning: {file} is not shown: {error}")
                continue
            kind = file.parent.name if number[2] is None else f"{file.parent.name}/{number[2]}"
            yield Picture(int(number[1]), changed / 1e9, kind, content)

    def _config(self) -> dict[str, Any] | None:
        """The configuration without secrets; None where it is as it was.

        A damaged one is empty, and a line says so.
        """
        file = self.run.config_file
        changed = file.stat().st_mtime_ns if file.exists() else None
        if changed == self.config_time:
            return None
        self.config_time = changed
        if changed is None:
            return {}
        try:
            return flat_config(file.read_text(encoding="utf-8"), self.run.path)
        except (ConfigError, ValueError) as error:
            notice(f"genlab: warning: {file}: {error}; shown without configuration")
            return {}


class Tail:
    """The lines that are appended to a file, each read once.

    Args:
        path: The file.
    """

    def __init__(self, path: Path):
        self.path = path
        self.end = 0
        self.last = b""

    def read(self) -> list[bytes]:
        """The whole lines since the last call; a line that is still being written waits.

        Raises:
            Rewound: The last line that was read no longer stands where it stood.
        """
        with self.path.open("rb") as file:
            file.seek(self.end - len(self.last))
            if file.read(len(self.last)) != self.last:
                raise Rewound
            added = file.read()
        whole = added[: added.rfind(b"\n") + 1]
        if whole:
            self.end += len(whole)
            self.last = whole[whole.rfind(b"\n", 0, -1) + 1 :]
        return whole.split(b"\n")


def rows_of(lines: list[bytes], allowed: Callable[[Any], bool]) -> Iterator[Row]:
    """The rows of these lines, without the values that are not allowed and without damaged lines.

    Trackio's page makes pictures, tables or texts of values of other types: a run that comes from
    elsewhere must not choose what is shown.
    """
    for line in lines:
        row = decode(line)
        if row is None or not is_number(row["images_seen"]):
            continue
        seen, logged = row.pop("images_seen"), row.pop("time", None)
        known = isinstance(logged, int | float) and 0 <= logged < 2**33
        values = {name: v for name, v in row.items() if name != "seconds" and allowed(v)}
        yield Row(seen, logged if known else time.time(), values)


def is_number(value: Any) -> bool:
    """True if SQLite can hold it as a number."""
    return isinstance(value, float) or (isinstance(value, int) and -(2**63) <= value < 2**63)
