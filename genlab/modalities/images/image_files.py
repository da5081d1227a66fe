"""Images as files: a grid, an array, or a PNG each; what is synthetic says that it is."""

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from genlab.errors import ConfigError
from genlab.modalities.gif_xmp import insert_xmp
from genlab.modalities.images.grid import grid
from genlab.modalities.provenance import (
    SOURCES,
    Kind,
    array_digest,
    kind_at,
    kind_of,
    pixel_digest,
    png_info,
    xmp_packet,
)
from genlab.system.paths import write_atomically

__all__ = ["write_film", "write_images"]

FRAME = 80
"""Milliseconds of a film's frame."""


def write_images(
    images: Tensor, target: Path, columns: int | None, provenance: Mapping[str, Any]
) -> Path:
    """Writes images in the form that the target's name asks for.

    Args:
        images: uint8 ``(n, C, H, W)``, 0 to 255.
        target: ``.png`` for a grid, ``.npz`` for an array ``images`` of shape ``(n, H, W, C)``,
            a name without a suffix for a folder.
        columns: Of a grid; about square if None.
        provenance: Where the images come from; kept in the file. An example of a folder that is
            a real image gets no note.

    Returns:
        The file or folder.

    Raises:
        ConfigError: The name asks for something else, or cannot be written to.
    """
    try:
        if target.suffix == ".png":
            target.parent.mkdir(parents=True, exist_ok=True)
            save(grid(images, columns=columns), target, provenance, kind_of(provenance))
        elif target.suffix == ".npz":
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as file:
                array = images.permute(0, 2, 3, 1).numpy()
                told = array_note({**provenance, "sha256": array_digest(array)})
                np.savez_compressed(file, images=array, provenance=np.array(told))
        elif target.suffix == "":
            target.mkdir(parents=True, exist_ok=True)
            check_unmixed(target, len(images))
            for i, image in enumerate(images.permute(0, 2, 3, 1).numpy()):
                save(image, target / f"{i:06d}.png", provenance, kind_at(provenance, i))
            write_atomically(target / "provenance.json", array_note(provenance).encode())
        else:
            raise ConfigError(f"out={target}: a .png, a .npz, or a folder (no suffix) is needed")
    except OSError as error:
        raise ConfigError(f"out={target}: cannot be written to ({error.strerror})") from None
    return target


def check_unmixed(folder: Path, n: int) -> None:
    """Refuses a folder with other files than those of n images, which would become a part of them.

    Raises:
        ConfigError: There are some.
    """
    own = {f"{i:06d}.png" for i in range(n)} | {"provenance.json"}
    others = sorted(path.name for path in folder.iterdir() if path.name not in own)
    if others:
        raise ConfigError(
            f"out={folder}: {others[0]} and {len(others) - 1} more files in it are none of these "
            f"{n} images; choose another folder, or empty it"
        )


def write_film(frames: Tensor, target: Path, provenance: Mapping[str, Any]) -> Path:
    """Writes a film of grids that runs for ever.

    Args:
        frames: uint8 ``(frames, n, C, H, W)``, 0 to 255.
        target: A ``.gif``.
        provenance: Where the images come from; kept as the file's comment.

    Raises:
        ConfigError: The name is no GIF's, or cannot be written to.
    """
    if target.suffix != ".gif":
        raise ConfigError(f"out={target}: a film needs a name that ends in .gif")
    pictures = [Image.fromarray(grid(images)) for images in frames]
    note = json.dumps(dict(provenance), default=str)
    content = io.BytesIO()
    pictures[0].save(
        content,
        format="GIF",
        save_all=True,
        append_images=pictures[1:],
        duration=FRAME,
        loop=0,
        comment=note.encode(),
    )
    # The digest is of what a decoder gives: a GIF has fewer colours, and no frame twice in a row.
    with Image.open(io.BytesIO(content.getvalue())) as film:
        size, pixels = f"{film.width}x{film.height}", pixel_digest(film)
    packet = xmp_packet(note, kind_of(provenance), size, pixels)
    try:
        write_atomically(target, insert_xmp(content.getvalue(), packet))
    except OSError as error:
        raise ConfigError(f"out={target}: cannot be written to ({error.strerror})") from None
    return target


def array_note(provenance: Mapping[str, Any]) -> str:
    """The note of an array or a folder, with IPTC's term."""
    source = SOURCES.get(kind_of(provenance))
    return json.dumps({**provenance, "digitalSourceType": source}, default=str)


def save(pixels: np.ndarray, path: Path, provenance: Mapping[str, Any], kind: Kind) -> None:
    """One PNG with a note of where it comes from."""
    squeezed = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[-1] == 1 else pixels
    image = Image.fromarray(squeezed)
    image.save(path, pnginfo=png_info(image, provenance, kind))
