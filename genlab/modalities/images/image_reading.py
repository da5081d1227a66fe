"""Someone else's samples: a folder of PNG files, or an array in a .npz or .npy file."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from genlab.errors import DataError

__all__ = ["image_names", "read_images"]

OTHERS = frozenset([".bmp", ".gif", ".jpeg", ".jpg", ".tif", ".tiff", ".webp"])
"""Suffixes of pictures that are not read: most of these formats are not exact."""


def read_images(path: str | Path, *, channels: int | None = None) -> Tensor:
    """Samples as every metric takes them.

    A folder is read in the order of the names of its PNG files, sub-folders included. An array is
    uint8 with values 0..255 of shape ``(n, H, W)``, ``(n, H, W, C)`` or ``(n, C, H, W)``; a .npz
    holds one array, or one named ``images``, ``samples`` or ``arr_0`` (guided-diffusion's).
    A file is never unpickled, an image never resized or skipped.

    Args:
        path: The folder or the file.
        channels: Expected number of channels, 1 or 3.

    Returns:
        uint8 ``(n, C, H, W)``.

    Raises:
        DataError: Nothing there, no images, a corrupt or another kind of file (which is named),
            mixed sizes, another number of channels.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        images = _read_folder(path)
    elif path.suffix in (".npz", ".npy") and path.is_file():
        images = _channels_first(_read_array(path), path)
    elif path.exists():
        raise DataError(f"images={path}: expected a folder of PNG files, a .npz or a .npy file")
    else:
        raise DataError(f"images={path}: no such file or folder")
    if channels is not None and images.shape[1] != channels:
        raise DataError(f"images={path}: {images.shape[1]} channels, the data has {channels}")
    return images


def image_names(path: str | Path, n: int) -> list[str]:
    """Names of the n images that `read_images` reads: files of a folder, places in an array."""
    path = Path(path).expanduser()
    if not path.is_dir():
        return [str(i) for i in range(n)]
    return [file.relative_to(path).as_posix() for file in sorted(_png_files(path))]


def _read_folder(folder: Path) -> Tensor:
    files = sorted(_png_files(folder))
    if not files:
        raise DataError(f"images={folder}: there is no PNG file in it (n=0)")
    first = _read_png(files[0])
    images = np.empty((len(files), *first.shape), np.uint8)
    for i, file in enumerate(files):
        image = _read_png(file)
        if image.shape != first.shape:
            raise DataError(
                f"images={folder}: mixed sizes: {files[0].name} is {_size(first)}, "
                f"{file.name} is {_size(image)}"
            )
        images[i] = image
    return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()


def _png_files(folder: Path) -> Iterator[Path]:
    """The PNG files below a folder, through links; other pictures among them are refused."""
    seen = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        if (real := os.path.realpath(place)) in seen:
            folders.clear()
            continue
        seen.add(real)
        for name in names:
            suffix = os.path.splitext(name)[1].lower()
            if suffix in OTHERS:
                raise DataError(f"images={folder}: {name} is no PNG file, and would be left out")
            if suffix == ".png":
                yield Path(place, name)


def _read_png(file: Path) -> npt.NDArray[np.uint8]:
    """Height, width and channels of one file."""
    try:
        with Image.open(file, formats=["PNG"]) as image:
            clear = " with transparency" if "transparency" in image.info else ""
            if clear or image.mode not in ("1", "L", "RGB", "P"):
                raise DataError(
                    f"{file}: mode {image.mode}{clear}; allowed are gray and RGB, 8 bits each"
                )
            kind = "L" if image.mode in ("1", "L") else "RGB"
            pixels = np.asarray(image.convert(kind))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{file}: not a whole PNG file ({error})") from error
    return pixels.reshape(*pixels.shape[:2], -1)


def _size(image: npt.NDArray[np.uint8]) -> str:
    height, width, channels = image.shape
    return f"{width}x{height} with {channels} channel{'s' if channels > 1 else ''}"


def _read_array(file: Path) -> npt.NDArray[np.uint8]:
    try:
        with file.open("rb") as opened:
            loaded = np.load(opened, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                return loaded
            with loaded:
                named = [name for name in ("images", "samples", "arr_0") if name in loaded.files]
                if not named and len(loaded.files) != 1:
                    raise DataError(
                        f"images={file}: holds {', '.join(loaded.files) or 'nothing'}; expected "
                        "one array, or one named images, samples or arr_0"
                    )
                return loaded[named[0] if named else loaded.files[0]]
    except DataError:
        raise
    # On damaged files, NumPy's reader and what it calls raise whatever they like.
    except Exception as error:
        raise DataError(f"images={file}: not a readable array ({error})") from error


def _channels_first(array: npt.NDArray[np.uint8], file: Path) -> Tensor:
    """(n, C, H, W) of an array, whose layout its shape says."""
    if array.dtype != np.uint8:
        raise DataError(
            f"images={file}: dtype {array.dtype}; expected uint8 with values 0..255 (round, do not "
            "truncate)"
        )
    if array.ndim == 3:
        array = array[:, None]
    if array.ndim != 4 or not (array.shape[1] in (1, 3) or array.shape[3] in (1, 3)):
        raise DataError(
            f"images={file}: shape {array.shape}; expected (n, H, W), (n, H, W, C) or "
            "(n, C, H, W) with 1 or 3 channels"
        )
    if len(array) == 0:
        raise DataError(f"images={file}: there are no images in it (n=0)")
    if array.shape[1] not in (1, 3):
        array = array.transpose(0, 3, 1, 2)
    return torch.from_numpy(np.ascontiguousarray(array))
