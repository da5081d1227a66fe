"""Sample grids of runs at equal times, as a page can hold them."""

import base64
from dataclasses import dataclass
from pathlib import Path

from genlab.comparison.curves import SLACK, History

__all__ = ["Picture", "data_uri", "pictures_of", "until"]

PNG = b"\x89PNG\r\n\x1a\n"
LARGEST = 4_000_000
"""Bytes of a picture that is put into a page."""


@dataclass(frozen=True)
class Picture:
    """A sample grid.

    Args:
        file: Where it lies.
        images: The images seen when it was drawn.
        seconds: The seconds of training then, None if that is not known.
    """

    file: Path
    images: int
    seconds: float | None


def pictures_of(path: Path, history: History) -> list[Picture]:
    """A run's sample grids, the oldest first."""
    found = [file for file in path.glob("samples/*.png") if file.stem.isdecimal()]
    images = sorted((int(file.stem), file) for file in found)
    return [Picture(file, seen, history.when(seen)) for seen, file in images]


def until(pictures: list[Picture], seconds: float) -> Picture | None:
    """The last picture that was drawn by then, None before the first."""
    drawn = [p for p in pictures if p.seconds is not None and p.seconds <= SLACK * seconds]
    return drawn[-1] if drawn else None


def data_uri(file: Path) -> str | None:
    """A PNG file as an address that holds it; None if it is none, or too large."""
    try:
        content = file.read_bytes()
    except OSError:
        return None
    if not content.startswith(PNG) or len(content) > LARGEST:
        return None
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"
