"""Drawing of the sheets of `Emoji` that are not in the package, from the makers' SVG by resvg."""

import importlib
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from genlab.data.storage.packages import Package
from genlab.errors import DataError

__all__ = ["SHEETS", "SheetSource", "draw_sheet", "encode"]

CELL, COLUMNS = 64, 40

Array = npt.NDArray[np.uint8]


class SheetSource(NamedTuple):
    """Where the drawings of a style come from.

    Args:
        package: The release.
        icons: True for a package of iconify, which has all drawings in one file; False for one
            with a file an emoji.
    """

    package: Package
    icons: bool

    @property
    def files(self) -> tuple[str, ...]:
        """The files of the package that are needed."""
        return ("icons.json", "chars.json") if self.icons else ("*.svg",)


def openmoji(folder: str) -> SheetSource:
    """One of OpenMoji's two styles."""
    sha256 = "55ee7d13485dec86e9f38c1f3a645a13382d33ff97c0cd845ee824b0aef45e68"
    return SheetSource(Package("npm", "openmoji", "17.0.0", sha256, f"package/{folder}/svg"), False)


SHEETS = {
    "twemoji": SheetSource(
        Package(
            "npm",
            "@iconify-json/twemoji",
            "1.2.5",
            "19046dff7d8707ce96212ec86468b36ac5f8e60409629dd13f809265c6d0ebb7",
            "package",
        ),
        True,
    ),
    "openmoji": openmoji("color"),
    "openmoji_line": openmoji("black"),
}
"""By the name of the style."""


def draw_sheet(
    source: SheetSource, contents: Mapping[str, bytes], codes: Sequence[str], line: bool
) -> Array:
    """The sheet of a style.

    Args:
        source: Where the drawings come from.
        contents: The files of the package.
        codes: Code points of the emoji in the order of the sheet.
        line: Whether it is grey on white, or else red, green, blue and alpha.

    Raises:
        DataError: The package resvg-py is not installed.
    """
    try:
        resvg = importlib.import_module("resvg_py")
    except ImportError:
        raise DataError(
            "resvg-py draws them and is not installed: pip install 'genlab[emoji]'"
        ) from None
    drawings = icons(contents, codes) if source.icons else files(contents, codes)
    rows = -(-len(codes) // COLUMNS)
    sheet = np.zeros((rows * CELL, COLUMNS * CELL, 1 if line else 4), np.uint8)
    for i, svg in enumerate(drawings):
        drawn = bytes(resvg.svg_to_bytes(svg_string=svg, width=CELL, height=CELL))
        with Image.open(io.BytesIO(drawn)) as picture:
            cell = np.asarray(picture.convert("RGBA"))
        if line:
            alpha = cell[..., 3:].astype(np.float32) / 255
            cell = (cell[..., 1:2] * alpha + 255 * (1 - alpha)).round().astype(np.uint8)
        else:
            cell = np.where(cell[..., 3:] == 0, 0, cell)  # nothing hides where it is transparent
        # One that is not square is put into the middle.
        height, width = cell.shape[:2]
        top = i // COLUMNS * CELL + (CELL - height) // 2
        left = i % COLUMNS * CELL + (CELL - width) // 2
        sheet[top : top + height, left : left + width] = cell
    return sheet[..., 0] if line else sheet


def icons(contents: Mapping[str, bytes], codes: Sequence[str]) -> list[str]:
    """Drawings out of a package of iconify."""
    known: dict[str, Any] = json.loads(contents["icons.json"])
    named = {plain(code): name for code, name in json.loads(contents["chars.json"]).items()}
    drawings = []
    for code in codes:
        name = named[code]
        icon = known["icons"].get(name) or known["icons"][known["aliases"][name]["parent"]]
        width, height = (icon.get(side, known[side]) for side in ("width", "height"))
        box = f"{icon.get('left', 0)} {icon.get('top', 0)} {width} {height}"
        drawings.append(
            '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
            f'viewBox="{box}" width="{width}" height="{height}" color="#000">{icon["body"]}</svg>'
        )
    return drawings


def files(contents: Mapping[str, bytes], codes: Sequence[str]) -> list[str]:
    """Drawings out of a package with a file an emoji."""
    named = {plain(name.removesuffix(".svg")): text for name, text in contents.items()}
    return [named[code].decode("utf-8") for code in codes]


def plain(code: str) -> str:
    """Code points without the selector of emoji, which makers set or leave out.

    Example:
        >>> plain("2764-FE0F")
        '2764'
    """
    return "-".join(part for part in code.lower().split("-") if part != "fe0f")


def encode(sheet: Array) -> bytes:
    """A sheet as a file without loss: WebP of colour, PNG of grey."""
    stream = io.BytesIO()
    if sheet.ndim == 2:
        Image.fromarray(sheet).save(stream, "PNG")
    else:
        Image.fromarray(sheet).save(stream, "WEBP", lossless=True, exact=True)
    return stream.getvalue()
