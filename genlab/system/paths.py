"""Paths as people type them, and files written atomically."""

import json
import os
from pathlib import Path
from typing import Any

__all__ = ["shown", "write_atomically", "write_json"]


def shown(path: Path) -> str:
    """A path as a person would type it: relative where that is shorter."""
    relative = os.path.relpath(path)
    return relative if len(relative) < len(str(path)) else str(path)


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
