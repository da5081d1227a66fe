"""CIFAR-10: small colour photographs.

The published archive holds pickles. It is verified first, and read by an unpickler that knows
three names of NumPy and no others.

Reference: Krizhevsky (2009), Learning multiple layers of features from tiny images.
"""

import pickle
import tarfile
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from genlab.data.storage.archive import FileImages
from genlab.data.storage.cache import Writer
from genlab.data.storage.damage import expecting, read_bounded
from genlab.errors import DataError

__all__ = ["Cifar10", "unpickle"]

BATCHES = {
    "train": tuple(f"data_batch_{i}" for i in range(1, 6)),
    "test": ("test_batch",),
}

LARGEST = 40_000_000
"""Bytes of a batch: 31 million are right."""


class Cifar10(FileImages):
    """50,000 + 10,000 small photographs, 3x32x32, 10 classes.

    Args:
        root: Folder to look in first and to download to; the cache if None.
    """

    name = "cifar10"

    def decode(self, paths: dict[str, Path], writer: Writer) -> None:
        path = paths["cifar-10-python.tar.gz"]
        with expecting("CIFAR-10's archive", path), tarfile.open(path, "r:gz") as tar:
            for split, names in BATCHES.items():
                batches = [self._batch(tar, name) for name in names]
                x = np.concatenate([np.asarray(b[b"data"], np.uint8) for b in batches])
                writer.put(f"{split}_x", x.reshape(-1, 3, 32, 32))
                y = np.concatenate([np.asarray(b[b"labels"], np.int64) for b in batches])
                writer.put(f"{split}_y", y)

    def _batch(self, tar: tarfile.TarFile, name: str) -> dict[bytes, Any]:
        member = tar.extractfile(f"cifar-10-batches-py/{name}")
        if member is None:
            raise KeyError(name)
        return unpickle(read_bounded(member, LARGEST, name), name)


def unpickle(data: bytes, name: str) -> dict[bytes, Any]:
    """Reads a pickled dictionary of arrays, lists and strings, and refuses everything else.

    Args:
        data: The pickle, of Python 2 in the case of CIFAR-10.
        name: What to call it in a message.

    Raises:
        DataError: It asks for anything but NumPy's arrays.
    """
    try:
        content = Unpickler(BytesIO(data), encoding="bytes").load()
    # On damaged ones, pickle's and NumPy's readers raise whatever they like.
    except Exception as error:
        raise DataError(f"{name}: expected a pickle of plain arrays, found: {error}") from error
    if not isinstance(content, dict):
        raise DataError(f"{name}: expected a pickled dictionary, found {type(content).__name__}")
    return content


class Unpickler(pickle.Unpickler):
    """Knows what an array of NumPy is made of."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("numpy", "ndarray"):
            return np.ndarray
        if (module, name) == ("numpy", "dtype"):
            return np.dtype
        if module.endswith("core.multiarray") and name == "_reconstruct":
            return reconstruct
        raise pickle.UnpicklingError(f"{module}.{name} is not allowed")


def reconstruct(kind: type, shape: tuple[int, ...], code: bytes) -> Any:
    """What NumPy's pickles call to make the empty array that they then fill."""
    if kind is not np.ndarray:
        raise pickle.UnpicklingError(f"{kind} is not an array")
    if shape != (0,):
        raise pickle.UnpicklingError(f"an array is made empty, not of shape {shape}")
    return np.ndarray.__new__(kind, shape, np.dtype(np.uint8))
