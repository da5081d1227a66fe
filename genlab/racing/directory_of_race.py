"""Directory of a race: what decides it, its journal, its page, and a run directory a candidate.

runs/<race>/
    race.json         what decides it: config, budget, words, seed, workers
    decisions.jsonl   every decision with its reason; the state of the race
    race.html         the page, written in the end
    <candidate>-s<seed>/  run directories, which every other command takes
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genlab.errors import ConfigError, nearest
from genlab.racing.race_settings import RaceRecord
from genlab.runs.directory import NAME, Run
from genlab.system.clock import now
from genlab.system.locks import Lock
from genlab.system.paths import write_json
from genlab.system.secrets import REDACTED, redact

__all__ = ["RaceDirectory", "find_race"]

MARK = "race.json"


@dataclass(frozen=True)
class RaceDirectory:
    """A race's directory.

    Args:
        path: The directory.
    """

    path: Path

    @classmethod
    def create(
        cls, root: Path, name: str, record: RaceRecord, command: list[str]
    ) -> "RaceDirectory":
        """Makes a new one, readable by its owner alone.

        Raises:
            ConfigError: It exists, cannot be made, or its name is no plain file name.
        """
        path = root / name
        if not NAME.fullmatch(name):
            raise ConfigError(f"name={name!r}: 1 to 64 of A-Z, a-z, 0-9, . _ = -, no path")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.mkdir(mode=0o700)
        except FileExistsError:
            known = (path / MARK).exists()
            hint = f"resume it: genlab race resume {path}" if known else "choose another name="
            raise ConfigError(f"{path} exists; {hint}") from None
        except OSError as error:
            raise ConfigError(f"{path}: cannot be written to ({error.strerror})") from None
        content = {"created": now(), "command": command, **record.plain()}
        write_json(path / MARK, redact(content))
        return cls(path.resolve())

    @property
    def journal(self) -> Path:
        """The file of its decisions."""
        return self.path / "decisions.jsonl"

    @property
    def page(self) -> Path:
        """The page."""
        return self.path / "race.html"

    def shown(self) -> str:
        """The path as a person would type it."""
        return Run(self.path).shown()

    def content(self) -> dict[str, Any]:
        """What race.json holds.

        Raises:
            ConfigError: It is damaged.
        """
        return Run(self.path).read(MARK)

    def record(self) -> RaceRecord:
        """What decides the race.

        Raises:
            ConfigError: It is damaged, or lacks a secret that was typed.
        """
        content = self.content()
        try:
            record = RaceRecord.of(content)
        except (KeyError, TypeError) as error:
            raise ConfigError(f"{self.path / MARK} is damaged: {error}") from None
        if REDACTED in json.dumps(content["words"]):
            raise ConfigError(f"{self.path}: a secret was typed, which is not kept; start anew")
        return record

    def lock(self) -> Lock:
        """The lock of whoever runs the race."""
        return Lock(self.path / ".race.lock")


def find_race(text: str, root: Path) -> RaceDirectory:
    """The race that a user means by a path, a name below root, or ``last``.

    Raises:
        ConfigError: There is none.
    """
    known = sorted(root.glob(f"*/{MARK}"), key=lambda file: file.stat().st_mtime)
    if text in ("last", "latest"):
        if not known:
            raise ConfigError(f"{text}: there is no race under {root}; start with genlab race")
        return RaceDirectory(known[-1].parent.resolve())
    for path in (Path(text), root / text):
        if (path / MARK).is_file():
            return RaceDirectory(path.resolve())
    names = [file.parent.name for file in known]
    raise ConfigError(f"{text}: there is no such race{nearest(Path(text).name, names)}")
