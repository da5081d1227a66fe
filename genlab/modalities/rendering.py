"""Renderings: what a person looks at, as a picture, as text, or both."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from genlab.errors import ConfigError
from genlab.system.paths import write_atomically

__all__ = ["Pixels", "Rendering", "save_png", "save_rendering"]

Pixels = NDArray[np.uint8]
"""A picture for people: uint8 of shape (H, W, 3)."""


@dataclass(frozen=True)
class Rendering:
    """Examples as a person looks at them.

    Args:
        pixels: The picture.
        text: Lines of text.
    """

    pixels: Pixels | None = None
    text: str | None = None


def save_png(path: Path, pixels: Pixels) -> None:
    """Writes a PNG, whole or not at all; makes its directory where there is none."""
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, format="PNG")
    write_atomically(path, content.getvalue())


def save_rendering(target: Path, rendering: Rendering) -> None:
    """Writes a rendering: a picture to a ``.png``, text to a ``.txt``.

    Raises:
        ConfigError: The name asks for what the rendering is not.
    """
    if rendering.pixels is not None and target.suffix == ".png":
        save_png(target, rendering.pixels)
    elif rendering.text is not None and target.suffix == ".txt":
        write_atomically(target, rendering.text.encode() + b"\n")
    else:
        wanted = ".png" if rendering.pixels is not None else ".txt"
        raise ConfigError(f"out={target}: a {wanted} is needed")
