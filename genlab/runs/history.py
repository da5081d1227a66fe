"""metrics.jsonl, the history of a run: one JSON object a line, appended as it happens.

Reading and repairing need neither torch nor Lightning: comparison and dashboard read many.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from genlab.system.paths import write_atomically

__all__ = ["History", "decode", "encode", "read_metrics", "repair", "rewind"]

FILE = "metrics.jsonl"
"""The file's name inside a run directory."""


class History(NamedTuple):
    """Content of a metrics file.

    Args:
        rows: One dict a line: ``images_seen``, ``seconds``, ``time``, then the metrics.
        notes: One line for each damaged line that was skipped; empty for a sound file.
    """

    rows: list[dict[str, Any]]
    notes: list[str]


def encode(row: Mapping[str, Any]) -> str:
    """One line of the file, newline included. Strict JSON: nan and inf become texts.

    Example:
        >>> encode({"images_seen": 64, "loss": float("nan")})
        '{"images_seen": 64, "loss": "nan"}\\n'
    """
    plain = {
        k: str(v) if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()
    }
    return json.dumps(plain, allow_nan=False) + "\n"


def read_metrics(path: Path | str) -> History:
    """Reads a history; a torn or damaged line is skipped, and the notes say so.

    Args:
        path: The file, or the run directory that holds it.

    Raises:
        FileNotFoundError: There is no such file.
    """
    path = Path(path)
    path = path / FILE if path.is_dir() else path
    history = History([], [])
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        row = decode(line)
        if row is not None:
            history.rows.append(row)
        elif number == len(lines):
            history.notes.append(f"{path}: the last line ({number}) is torn, skipped")
        else:
            history.notes.append(f"{path}: line {number} is damaged, skipped")
    return history


def repair(path: Path) -> None:
    """Cuts off a last line that a kill left torn, so that the next one starts on its own line."""
    if path.exists() and path.read_bytes()[-1:] not in (b"\n", b""):
        _keep(path, lambda row: True)


def rewind(path: Path, images_seen: int) -> int:
    """Drops the lines beyond ``images_seen``: a resumed run writes them anew.

    Returns:
        How many lines were dropped.
    """
    return _keep(path, lambda row: row["images_seen"] <= images_seen) if path.exists() else 0


def _keep(path: Path, wanted: Any) -> int:
    lines = [line for line in path.read_bytes().split(b"\n") if line.strip()]
    kept = [line for line in lines if (row := decode(line)) is not None and wanted(row)]
    whole = b"".join(line + b"\n" for line in kept)
    if whole != path.read_bytes():
        write_atomically(path, whole)
    return len(lines) - len(kept)


def decode(line: bytes) -> dict[str, Any] | None:
    """The row of a line; None for one that is torn or damaged."""
    try:
        row = json.loads(line)
    except ValueError:  # not JSON, or not UTF-8
        return None
    if not isinstance(row, dict) or not isinstance(row.get("images_seen"), int):
        return None
    return {k: float(v) if v in ("nan", "inf", "-inf") else v for k, v in row.items()}
