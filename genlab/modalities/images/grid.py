"""One way from image tensors to pixels, for every logger: uint8 in, one uint8 grid out.

Each logger rescales floats in its own way, or not at all (``wandb.Image`` of a grid in [0, 1] is a
black PNG, without a warning), so floats never get there: the grid is made once, here.
"""

import math
import os
import sys
from pathlib import Path
from typing import TextIO

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from genlab.modalities.images.levels import to_bytes
from genlab.modalities.rendering import Pixels

__all__ = ["compare", "grid", "half_blocks", "show"]

_GAP = 48
"""Grey level between the images of a grid: visible beside black digits and beside photographs."""


def grid(
    images: Tensor | Pixels, *, levels: int = 256, columns: int | None = None, padding: int = 2
) -> Pixels:
    """Lays images out in rows, as one picture.

    Args:
        images: uint8 of shape ``(N, C, H, W)`` with values below ``levels``, C = 1 or 3.
        levels: Number of values a sub-pixel can take; they are stretched to 0 .. 255.
        columns: Images a row; by default as many as make the grid square.
        padding: Pixels between images and around them.

    Returns:
        uint8 of shape ``(H, W, 3)``; cells that no image fills have the colour of the gaps.

    Raises:
        ValueError: The images are not uint8 images of one or three channels, or exceed ``levels``.

    Example:
        >>> grid(np.ones((3, 1, 4, 4), np.uint8), levels=2, columns=2, padding=1)[1, 1]
        array([255, 255, 255], dtype=uint8)
    """
    x = _channels_last(images, levels)
    n, height, width, _ = x.shape
    columns = min(n, columns or math.ceil(math.sqrt(n)))
    rows = math.ceil(n / columns)
    down, right = height + padding, width + padding
    canvas = np.full((rows * down + padding, columns * right + padding, 3), _GAP, np.uint8)
    for i, image in enumerate(x):
        top, left = padding + i // columns * down, padding + i % columns * right
        canvas[top : top + height, left : left + width] = image
    return canvas


def compare(
    first: Tensor | Pixels,
    second: Tensor | Pixels,
    *,
    levels: int = 256,
    columns: int = 8,
    padding: int = 2,
) -> Pixels:
    """Lays out pairs of images, each second image (its reconstruction) right below the first.

    Args:
        first: uint8 of shape ``(N, C, H, W)``.
        second: The same shape.
        levels, columns, padding: As for `grid`.

    Raises:
        ValueError: The shapes differ, or an image is not as `grid` wants it.
    """
    if first.shape != second.shape:
        raise ValueError(f"pairs need equal shapes, got {first.shape} and {second.shape}")
    a, b = _channels_last(first, levels), _channels_last(second, levels)
    columns = min(columns, len(a))
    rows = [
        grid(half[i : i + columns].transpose(0, 3, 1, 2), columns=columns, padding=padding)
        for i in range(0, len(a), columns)
        for half in (a, b)
    ]
    wide = rows[0].shape[1]
    filled = [
        np.pad(row, ((0, 0), (0, wide - row.shape[1]), (0, 0)), constant_values=_GAP)
        for row in rows
    ]
    # Rows overlap in their padding, or the gaps between them would be twice as wide.
    return np.concatenate([filled[0], *(row[padding:] for row in filled[1:])])


def _channels_last(images: Tensor | Pixels, levels: int) -> NDArray[np.uint8]:
    x = images if isinstance(images, np.ndarray) else images.detach().cpu().numpy()
    if x.dtype != np.uint8:
        raise ValueError(f"images must be uint8 of 0 .. levels - 1, got {x.dtype}")
    if x.ndim != 4 or x.shape[0] == 0 or x.shape[1] not in (1, 3):
        raise ValueError(f"images must have shape (N, 1 or 3, H, W), got {tuple(x.shape)}")
    if x.max() >= levels:
        raise ValueError(f"images of {levels} levels hold the value {x.max()}")
    if levels < 256:
        x = to_bytes(torch.from_numpy(x), levels).numpy()
    return np.broadcast_to(x.transpose(0, 2, 3, 1), (len(x), *x.shape[2:], 3))


def half_blocks(source: Path | str | Pixels, width: int) -> str:
    """A picture as text of at most ``width`` columns: each ``▀`` is two pixels, in true colour."""
    image = Image.fromarray(source) if isinstance(source, np.ndarray) else Image.open(source)
    image = image.convert("RGB")
    columns = max(1, min(width, image.width))
    lines = max(1, round(image.height * columns / image.width / 2))
    if (columns, lines * 2) != image.size:
        image = image.resize((columns, lines * 2), Image.Resampling.LANCZOS)
    pairs = np.asarray(image).reshape(lines, 2, columns, 3).transpose(0, 2, 1, 3)
    block = "\x1b[38;2;{};{};{};48;2;{};{};{}m▀"
    return "\n".join(
        "".join(block.format(*pair.ravel()) for pair in line) + "\x1b[0m" for line in pairs
    )


def show(
    source: Path | str | Pixels, *, width: int | None = None, file: TextIO | None = None
) -> bool:
    """Prints a picture where a person is looking: on a terminal with colours, nowhere else.

    Returns:
        Whether it was printed.
    """
    file = sys.stdout if file is None else file
    if not file.isatty() or os.environ.get("TERM") == "dumb" or os.environ.get("NO_COLOR"):
        return False
    if width is None:
        width = os.get_terminal_size(file.fileno()).columns
    print(half_blocks(source, width), file=file)
    return True
