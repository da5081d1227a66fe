"""Images as files: a grid, an array, or a PNG each; all of them say that they are synthetic."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from genlab.errors import ConfigError
from genlab.modalities.images.grid import grid
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
        provenance: Where the images come from; kept in the file.

    Returns:
        The file or folder.

    Raises:
        ConfigError: The name asks for something else, or cannot be written to.
    """
    note = json.dumps(dict(provenance))
    try:
        if target.suffix == ".png":
            target.parent.mkdir(parents=True, exist_ok=True)
            save(grid(images, columns=columns), target, note)
        elif target.suffix == ".npz":
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as file:
                np.savez_compressed(
                    file, images=images.permute(0, 2, 3, 1).numpy(), provenance=np.array(note)
                )
        elif target.suffix == "":
            target.mkdir(parents=True, exist_ok=True)
            check_unmixed(target, len(images))
            for i, image in enumerate(images.permute(0, 2, 3, 1).numpy()):
                save(image, target / f"{i:06d}.png", note)
            write_atomically(target / "provenance.json", note.encode())
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
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        pictures[0].save(
            target,
            save_all=True,
            append_images=pictures[1:],
            duration=FRAME,
            loop=0,
            comment=json.dumps(dict(provenance)).encode(),
        )
    except OSError as error:
        raise ConfigError(f"out={target}: cannot be written to ({error.strerror})") from None
    return target


def save(image: np.ndarray, path: Path, note: str) -> None:
    """One PNG with a note of where it comes from."""
    info = PngInfo()
    info.add_text("genlab", note)
    squeezed = image[..., 0] if image.ndim == 3 and image.shape[-1] == 1 else image
    Image.fromarray(squeezed).save(path, pnginfo=info)
