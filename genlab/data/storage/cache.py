"""Cache of decoded images: plain .npy files that are checked, mapped, never unpickled.

A set of arrays is written into a temporary folder, which is renamed when it is whole, so that
there is no half-written cache. Beside the arrays lies index.json with their SHA-256 hashes.
"""

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from genlab.system.paths import cache_dir, staging_folder

__all__ = ["Arrays", "Writer", "array_digest", "cached", "open_arrays"]

log = logging.getLogger("genlab")

ALWAYS_HASHED = 1 << 30
"""Bytes up to which an array is hashed each time it is opened (2 s per GB, and often far less)."""


class Arrays(dict[str, npt.NDArray[Any]]):
    """Named arrays of a data set, with the SHA-256 of each in ``digests``.

    Args:
        arrays: The arrays.
        digests: The SHA-256 of each.
        about: What else is known of them, as JSON has it.
    """

    def __init__(
        self,
        arrays: Mapping[str, npt.NDArray[Any]],
        digests: Mapping[str, str],
        about: Mapping[str, Any],
    ):
        super().__init__(arrays)
        self.digests = dict(digests)
        self.about = dict(about)


class Writer:
    """Maker of the arrays of a cache entry: on disk, or in memory where nothing can be written."""

    def __init__(self, folder: Path | None):
        self.folder = folder
        self.arrays: dict[str, npt.NDArray[Any]] = {}
        self.about: dict[str, Any] = {}
        """What else is to be kept of them, as JSON has it."""

    def array(self, name: str, shape: tuple[int, ...], dtype: str) -> npt.NDArray[Any]:
        """A new array to be filled."""
        if self.folder is None:
            self.arrays[name] = np.zeros(shape, dtype)
        else:
            self.arrays[name] = np.lib.format.open_memmap(
                self.folder / f"{name}.npy", "w+", np.dtype(dtype), shape
            )
        return self.arrays[name]

    def put(self, name: str, values: npt.NDArray[Any]) -> None:
        """Stores a copy of an array."""
        self.array(name, values.shape, str(values.dtype))[...] = values


def array_digest(array: npt.NDArray[Any]) -> str:
    """SHA-256 of an array's type, shape and contents.

    Example:
        >>> array_digest(np.zeros(2, "uint8")) == array_digest(np.zeros((2, 1), "uint8"))
        False
    """
    state = hashlib.sha256(f"{array.dtype.str}{array.shape}".encode())
    state.update(np.ascontiguousarray(array).data if array.size else b"")
    return state.hexdigest()


def cached(key: str, build: Callable[[Writer], None]) -> Arrays:
    """The arrays stored under a key, built if they are not there or damaged.

    Args:
        key: Name of the entry; it must change with whatever the arrays are made from.
        build: Fills a `Writer`. What it raises is passed on and nothing is stored.

    Returns:
        Memory-mapped arrays, copy-on-write; nothing is read before it is used.
    """
    folder = cache_dir() / "arrays" / key
    if folder.is_dir():
        try:
            return open_arrays(folder)
        except (OSError, ValueError, KeyError) as error:
            log.warning("%s is damaged (%s); it is built again", folder, error)
            shutil.rmtree(folder, ignore_errors=True)
    try:
        temporary = staging_folder(folder.parent)
    except OSError as error:
        log.warning("the cache cannot be written (%s); GENLAB_CACHE names another folder", error)
        return finish(build, Writer(None))
    try:
        finish(build, Writer(temporary))
        try:
            temporary.rename(folder)
        except OSError:
            # Another process was faster; what it wrote under this key is the same.
            if not folder.is_dir():
                raise
        return open_arrays(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def finish(build: Callable[[Writer], None], writer: Writer) -> Arrays:
    build(writer)
    digests = {name: array_digest(array) for name, array in writer.arrays.items()}
    arrays = Arrays(writer.arrays, digests, writer.about)
    if writer.folder is not None:
        for array in arrays.values():
            if isinstance(array, np.memmap):
                array.flush()
        sizes = {name: (writer.folder / f"{name}.npy").stat().st_size for name in arrays}
        index = {name: {"sha256": arrays.digests[name], "bytes": sizes[name]} for name in arrays}
        if writer.about:
            about = json.dumps(writer.about)
            (writer.folder / "about.json").write_text(about, encoding="utf-8")
        with (writer.folder / "index.json").open("w", encoding="utf-8") as file:
            json.dump(index, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
    return arrays


def open_arrays(folder: Path, thorough: bool = False) -> Arrays:
    """Opens a cache entry and checks it.

    Args:
        folder: The entry.
        thorough: Hash arrays above 1 GiB, too; else only their size is checked.

    Raises:
        OSError, ValueError, KeyError: It is damaged.
    """
    index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    arrays: dict[str, npt.NDArray[Any]] = {}
    for name, entry in index.items():
        path = folder / f"{name}.npy"
        size = path.stat().st_size
        if size != entry["bytes"]:
            raise ValueError(f"{path.name}: expected {entry['bytes']} bytes, found {size}")
        array = np.load(path, mmap_mode="c", allow_pickle=False)
        if thorough or size <= ALWAYS_HASHED:
            found = array_digest(array)
            if found != entry["sha256"]:
                raise ValueError(f"{path.name}: expected sha256 {entry['sha256']}, found {found}")
        arrays[name] = array
    about = folder / "about.json"
    known = json.loads(about.read_text(encoding="utf-8")) if about.is_file() else {}
    return Arrays(arrays, {name: entry["sha256"] for name, entry in index.items()}, known)
