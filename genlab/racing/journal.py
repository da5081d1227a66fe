"""Journal of a race: every decision with its reason, one JSON object a line.

The journal is the race's whole state: what was decided is read back from it, so that a race that
was killed goes on with what stands there. A line is on the disk before anything follows from it; a
line that was cut off in the middle is dropped, and what it would have said is found out anew.
"""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from genlab.errors import ConfigError
from genlab.system.clock import now

__all__ = ["Journal"]

TIMES = ("at", "elapsed")
"""Keys of a line that say when, and not what."""


class Journal:
    """Decisions of a race, in their order.

    Args:
        path: The file; it need not exist yet.
        clock: Seconds that pass.
        tell: Called with each new line.

    Raises:
        ConfigError: A line in the middle is damaged.
    """

    def __init__(
        self,
        path: Path,
        clock: Callable[[], float] = time.monotonic,
        tell: Callable[[dict[str, Any]], None] = lambda line: None,
    ):
        self.path = path
        self.clock = clock
        self.tell = tell
        self.lines: list[dict[str, Any]] = read(path)
        self.before = self.lines[-1]["elapsed"] if self.lines else 0.0
        self.started = clock()

    @property
    def elapsed(self) -> float:
        """Seconds that the race has taken, over all its sessions."""
        return self.before + self.clock() - self.started

    def add(self, event: str, reason: str, **values: Any) -> dict[str, Any]:
        """Writes a line, and returns it."""
        line = {"event": event, **values, "reason": reason}
        line |= {"at": now(), "elapsed": round(self.elapsed, 3)}
        with self.path.open("ab") as file:
            text = json.dumps(line)
            file.write(text.encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self.lines.append(json.loads(text))  # as whoever resumes will read it
        self.tell(line)
        return line

    def all(self, event: str, **values: Any) -> list[dict[str, Any]]:
        """The lines of an event that have these values."""
        return [
            line
            for line in self.lines
            if line["event"] == event and all(line.get(k) == v for k, v in values.items())
        ]

    def last(self, event: str, **values: Any) -> dict[str, Any] | None:
        """The newest of them, None without one."""
        found = self.all(event, **values)
        return found[-1] if found else None

    def repair(self) -> None:
        """Cuts off a half-written last line, so that the next one begins a line of its own."""
        if not self.path.exists():
            return
        content = self.path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if whole != content:
            os.truncate(self.path, len(whole))


def read(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a journal."""
    if not path.exists():
        return []
    found = []
    *lines, _ = path.read_bytes().split(b"\n")  # behind the last newline: nothing, or half a line
    for number, line in enumerate(lines, 1):
        try:
            found.append(dict(json.loads(line)))
        except (ValueError, TypeError) as error:
            raise ConfigError(f"{path}:{number} is damaged: {error}") from None
    return found
