"""Renderings: what a person looks at, as a picture, as text, or both."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from genlab.errors import ConfigError
from genlab.modalities.provenance import kind_of, png_info, write_sidecar
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


def save_png(path: Path, pixels: Pixels, note: Mapping[str, Any] | None = None) -> None:
    """Writes a PNG, whole or not at all; makes its directory where there is none.

    Args:
        path: The file.
        pixels: The picture.
        note: Where it comes from, as `provenance.marked` made it; None for real images.
    """
    content, image = io.BytesIO(), Image.fromarray(pixels)
    info = None if note is None else png_info(image, note, kind_of(note))
    image.save(content, format="PNG", pnginfo=info)
    write_atomically(path, content.getvalue())


def save_rendering(
    target: Path, rendering: Rendering, note: Mapping[str, Any] | None = None
) -> None:
    """Writes a rendering: a picture to a ``.png``, text to a ``.txt``.

    Args:
        target: The file; the note of a text lies beside it.
        rendering: What a `Modality` made.
        note: As of `save_png`.

    Raises:
        ConfigError: The name asks for what the rendering is not.
    """
    if rendering.pixels is not None and target.suffix == ".png":
        save_png(target, rendering.pixels, note)
    elif rendering.text is not None and target.suffix == ".txt":
        write_atomically(target, rendering.text.encode() + b"\n")
        if note is not None:
            write_sidecar(target, note)
    else:
        wanted = ".png" if rendering.pixels is not None else ".txt"
        raise ConfigError(f"out={target}: a {wanted} is needed")
