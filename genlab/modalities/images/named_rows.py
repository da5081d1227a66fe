"""Grid of images with a name beside each row."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from genlab.modalities.images.grid import grid
from genlab.modalities.rendering import Pixels

__all__ = ["named_rows"]

WIDEST = 160
"""Pixels of a name; what is longer is cut."""

LOWEST = 14
"""Pixels of a row that a name is to be read beside; smaller images are enlarged."""


def named_rows(rows: Sequence[Tensor], names: Sequence[str], levels: int = 256) -> Pixels:
    """Lays out rows of images, each beside its name.

    Args:
        rows: uint8 ``(N, C, H, W)`` with values below ``levels``; rows may be empty.
        names: One a row.
        levels: Number of values a sub-pixel can take.

    Returns:
        uint8 of shape ``(H, W, 3)``.
    """
    columns = max(len(row) for row in rows)
    full = next(row for row in rows if len(row))
    blank = full.new_zeros(columns, *full.shape[1:])
    strips = [grid(row if len(row) else blank, levels=levels, columns=columns) for row in rows]
    wide = max(strip.shape[1] for strip in strips)
    strips = [
        np.pad(
            strip, ((0, 0), (0, wide - strip.shape[1]), (0, 0)), constant_values=int(strip[0, 0, 0])
        )
        for strip in strips
    ]
    body = np.concatenate([strips[0], *(strip[2:] for strip in strips[1:])])
    times = -(-LOWEST // (full.shape[2] + 2))
    body = body.repeat(times, 0).repeat(times, 1)
    height = (full.shape[2] + 2) * times
    font = ImageFont.load_default(10)
    margin = min(WIDEST, max(int(font.getlength(name)) for name in names) + 8)
    picture = Image.new("RGB", (margin + body.shape[1], body.shape[0]), "white")
    draw = ImageDraw.Draw(picture)
    for i, name in enumerate(names):
        draw.text((4, i * height + height // 2 + 1), name, "black", font, anchor="lm")
    picture.paste(Image.fromarray(body), (margin, 0))
    return np.asarray(picture)
