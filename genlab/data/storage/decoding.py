"""Pictures of any kind and size as arrays of one shape."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count
from typing import IO

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from genlab.errors import DataError

__all__ = ["fill", "fit", "open_picture"]

NAMED = 5
"""How many unreadable pictures a message names."""


def fit(picture: Image.Image, size: int, channels: int) -> npt.NDArray[np.uint8]:
    """A picture as an array: turned upright, centre-cropped to a square and resized.

    Transparent parts become white; 16-bit grey is scaled to 8 bits.

    Args:
        picture: Of any mode and size.
        size: Height and width wanted.
        channels: 1 for grey, 3 for colour.

    Returns:
        uint8 of shape ``(channels, size, size)``.
    """
    picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith("I;16"):
        values = np.asarray(picture, np.float64) / 257
        picture = Image.fromarray(np.rint(values).astype(np.uint8))
    elif picture.mode in ("I", "F"):
        raise ValueError(f"pixels of 32 bits (mode {picture.mode}) have no known range")
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture)
    picture = picture.convert("L" if channels == 1 else "RGB")
    if picture.size != (size, size):
        picture = ImageOps.fit(picture, (size, size), Image.Resampling.LANCZOS)
    array = np.asarray(picture, np.uint8)
    return array[None] if channels == 1 else array.transpose(2, 0, 1)


def open_picture(source: str | IO[bytes], size: int, channels: int) -> npt.NDArray[np.uint8]:
    """Reads a picture from a file and fits it; see `fit`."""
    with Image.open(source) as picture:
        picture.load()
        return fit(picture, size, channels)


def fill(
    out: npt.NDArray[np.uint8],
    sources: Sequence[str],
    read: Callable[[str], npt.NDArray[np.uint8]],
) -> None:
    """Fills an array with pictures, several at a time.

    Args:
        out: ``(N, C, H, W)``, possibly a memory map.
        sources: What to call each of the N pictures.
        read: Gives the array of one.

    Raises:
        DataError: Some cannot be read; the first few are named.
    """
    bad: list[str] = []

    def put(index: int) -> None:
        try:
            out[index] = read(sources[index])
        # Pillow's decoders raise whatever they like on damaged files.
        except Exception as error:
            bad.append(f"{sources[index]} ({type(error).__name__}: {error})")

    with ThreadPoolExecutor(min(8, cpu_count() or 1)) as pool:
        for _ in pool.map(put, range(len(sources))):
            pass
    if bad:
        more = f" and {len(bad) - NAMED} more" if len(bad) > NAMED else ""
        raise DataError(
            f"expected {len(sources)} pictures, found {len(bad)} that cannot be read: "
            f"{'; '.join(sorted(bad)[:NAMED])}{more}"
        )
