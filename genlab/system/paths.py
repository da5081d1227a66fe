"""Paths: as people type them, the cache directory, files and folders that appear whole."""

import json
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from genlab.errors import ConfigError

__all__ = [
    "cache_dir",
    "check_writable",
    "shown",
    "staging_folder",
    "write_atomically",
    "write_json",
]

STALE = 24 * 3600
"""Seconds after which a staging folder is taken for the remains of a killed process."""


def cache_dir() -> Path:
    """``$GENLAB_CACHE``, or ``genlab`` in ``$XDG_CACHE_HOME``, or ``~/.cache/genlab``."""
    if named := os.environ.get("GENLAB_CACHE"):
        return Path(named).expanduser()
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "genlab"


def staging_folder(folder: Path) -> Path:
    """A new hidden folder in a folder, for what is moved out of it once it is whole.

    The caller removes it; what killed processes left behind is removed here.

    Raises:
        OSError: The folder cannot be made or written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob(".*.part"):
        if time.time() - left.stat().st_mtime > STALE:
            shutil.rmtree(left, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=".", suffix=".part", dir=folder))


def shown(path: Path) -> str:
    """A path as a person would type it: relative where that is shorter."""
    relative = os.path.relpath(path)
    text = relative if len(relative) < len(str(path)) else str(path)
    return f"./{text}" if text.startswith("~") else text  # a folder of that name, no home


def check_writable(folder: Path, key: str, instead: str = "") -> None:
    """Refuses a folder that cannot be written to, before what is to lie there is made.

    Args:
        folder: The folder; it need not exist yet.
        key: What the user typed to choose it.
        instead: What to do about it.

    Raises:
        ConfigError: It, or the first folder above it that exists, cannot be written to.
    """
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        raise ConfigError(f"{key}: {shown(there)} is a file, a folder is needed")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ConfigError(f"{key}: {shown(there)} cannot be written to{instead}")


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Writes a JSON file atomically."""
    write_atomically(path, json.dumps(content, indent=2, default=str).encode() + b"\n")


def write_atomically(path: Path, content: bytes) -> None:
    """Writes a file so that after a crash it holds the old content or the new, never a part.

    The temporary file lies beside the target: a rename is atomic only within a file system.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
