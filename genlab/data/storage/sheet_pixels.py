"""Whole arrays of 64x64 pictures: sheets cut into cells, grounds, and pooling to 32x32."""

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from genlab.errors import ConfigError

__all__ = ["GROUNDS", "Size", "check_size", "compose", "cut", "parse_ground", "put_pictures"]

Size = Literal[32, 64]
"""Heights and widths that drawn pictures come in."""

FULL = 64

GROUNDS = {"white": (255, 255, 255), "black": (0, 0, 0), "grey": (128, 128, 128)}

AT_ONCE = 1024
"""Pictures that are pooled at a time, so that little memory is needed beside them."""

Array = npt.NDArray[np.uint8]


def check_size(size: int) -> None:
    """Refuses sizes that drawn pictures do not come in.

    Raises:
        ConfigError: It is neither 32 nor 64.
    """
    if size not in (32, FULL):
        raise ConfigError(f"data.size={size}: must be 32 or 64")


def parse_ground(ground: str | None) -> tuple[int, int, int]:
    """Red, green and blue of a ground by its name or as ``#rrggbb``.

    Raises:
        ConfigError: It is neither, or there is none.

    Example:
        >>> parse_ground("white"), parse_ground("#ff8000")
        ((255, 255, 255), (255, 128, 0))
    """
    if ground in GROUNDS:
        return GROUNDS[ground]
    digits = (ground or "").removeprefix("#")
    if ground is None or ground == digits or len(digits) != 6 or not is_hex(digits):
        why = ", as transparent parts have no colour" if ground is None else ""
        raise ConfigError(
            f"data.ground={'null' if ground is None else ground}: must be "
            f"{', '.join(GROUNDS)} or #rrggbb{why}"
        )
    red, green, blue = bytes.fromhex(digits)
    return red, green, blue


def is_hex(digits: str) -> bool:
    """True if there are only digits of base 16."""
    return all(digit in "0123456789abcdefABCDEF" for digit in digits)


def cut(sheet: Array, n: int) -> Array:
    """The first n cells of a sheet, row by row: ``(n, 64, 64, bands)``."""
    sheet = sheet.reshape(*sheet.shape[:2], -1)
    rows, columns, bands = sheet.shape[0] // FULL, sheet.shape[1] // FULL, sheet.shape[2]
    cells = sheet.reshape(rows, FULL, columns, FULL, bands).swapaxes(1, 2)
    return np.ascontiguousarray(cells.reshape(-1, FULL, FULL, bands)[:n])


def compose(pictures: Array, ground: tuple[int, int, int]) -> Array:
    """Pictures with alpha, or grey ones, as colour: ``(N, H, W, 3)``.

    Args:
        pictures: ``(N, H, W, 1)`` grey or ``(N, H, W, 4)`` red, green, blue and alpha.
        ground: What is seen through transparent parts.

    Example:
        >>> half = np.array([[[[200, 100, 0, 51]]]], np.uint8)  # one fifth
        >>> compose(half, (255, 255, 255)).ravel().tolist()
        [244, 224, 204]
    """
    if pictures.shape[-1] == 1:
        return pictures.repeat(3, -1)
    alpha = pictures[..., 3:].astype(np.uint16)
    behind = np.array(ground, np.uint16)
    mixed = pictures[..., :3] * alpha + behind * (255 - alpha)
    return ((mixed + 127) // 255).astype(np.uint8)


def put_pictures(out: npt.NDArray[Any], pictures: Array, index: npt.NDArray[np.int64]) -> None:
    """Fills an array of a split with some pictures, pooled where it is half as large.

    Args:
        out: ``(N, 3, size, size)``, possibly a memory map.
        pictures: ``(M, 64, 64, 3)``.
        index: Which N of them.
    """
    target = torch.from_numpy(out)
    for start in range(0, len(index), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        x = torch.from_numpy(pictures[index[part]])
        if out.shape[-1] < FULL:
            # The mean of four, rounded half up.
            above = x[:, ::2].to(torch.int16) + x[:, 1::2]
            x = (above[:, :, ::2] + above[:, :, 1::2] + 2 >> 2).to(torch.uint8)
        target[part] = x.permute(0, 3, 1, 2)
