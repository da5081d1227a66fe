"""Strict reader of the idx format of MNIST and its kin.

The file is a big-endian header (two zero bytes, the type, the number of dimensions, then each
dimension as a 32-bit integer) and the values. Format: Yann LeCun's MNIST page.
"""

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt

from genlab.data.storage.damage import expecting
from genlab.data.storage.manifest import open_any
from genlab.errors import DataError

__all__ = ["idx_dims", "parse_idx", "read_idx", "to_idx"]

UBYTE = 0x08


def idx_dims(name: str) -> int:
    """Number of dimensions in an idx file of MNIST's naming: 3 of images, 1 of labels."""
    return 3 if "-idx3-" in name else 1


def read_idx(path: Path, dims: int) -> npt.NDArray[np.uint8]:
    """Reads an idx file of unsigned bytes, plain or compressed by gzip or xz.

    Args:
        path: The file; the suffix says how it is compressed.
        dims: How many dimensions it must have: 3 for images, 1 for labels.

    Raises:
        DataError: The file is not there, cannot be read, or is not what its header says.
    """
    if not path.exists():
        raise DataError(f"{path}: expected an idx file, found nothing")
    with expecting("a readable file", path), open_any(path) as file:
        data = file.read()
    return parse_idx(data, str(path), dims)


def parse_idx(data: bytes, path: str, dims: int) -> npt.NDArray[np.uint8]:
    """Parses the content of an idx file of unsigned bytes.

    Args:
        data: The content.
        path: What to call it in a message.
        dims: How many dimensions it must have.

    Returns:
        A read-only array over ``data``.

    Raises:
        DataError: Wrong magic number, or more or fewer bytes than the header says.

    Example:
        >>> parse_idx(to_idx(np.array([7, 8], "uint8")), "two", 1)
        array([7, 8], dtype=uint8)
    """
    magic = bytes((0, 0, UBYTE, dims))
    if data[:4] != magic:
        found = data[:4].hex() or "an empty file"
        raise DataError(f"{path}: expected the idx magic number {magic.hex()}, found {found}")
    header = 4 * (1 + dims)
    if len(data) < header:
        raise DataError(f"{path}: expected a header of {header} bytes, found {len(data)} bytes")
    shape = tuple(int(n) for n in np.frombuffer(data, ">u4", dims, 4))
    expected = header + math.prod(shape)
    if len(data) != expected:
        raise DataError(
            f"{path}: expected {expected} bytes for the shape {shape}, found {len(data)}"
        )
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape)


def to_idx(array: npt.NDArray[np.uint8]) -> bytes:
    """The content of an idx file that holds the array of unsigned bytes."""
    header = bytes((0, 0, UBYTE, array.ndim)) + np.array(array.shape, ">u4").tobytes()
    return header + np.ascontiguousarray(array).tobytes()
