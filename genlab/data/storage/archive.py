"""Data sets that consist of files described by a manifest."""

import logging
from abc import abstractmethod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from genlab.data.images import CachedImages, Split, check_split
from genlab.data.storage.cache import Writer
from genlab.data.storage.idx import read_idx
from genlab.data.storage.manifest import Manifest, repair_command
from genlab.data.storage.manifests import MANIFESTS
from genlab.data.storage.sources import obtain
from genlab.errors import DataError
from genlab.types import ImageSpec

__all__ = ["FileImages", "IdxImages", "check_arrays"]

log = logging.getLogger("genlab")


class FileImages(CachedImages):
    """A data set of known files, which are found, verified, and decoded into the cache once.

    Args:
        root: Folder to look in first and to download to; the cache if None.
    """

    def __init__(self, root: str | None = None):
        self.root = root

    @property
    def manifest(self) -> Manifest:
        """What the data set consists of."""
        return MANIFESTS[self.name]

    @property
    def spec(self) -> ImageSpec:
        manifest = self.manifest
        assert manifest.shape is not None, "a data set of variable shape brings its own spec"
        return ImageSpec(*manifest.shape, manifest.levels, manifest.classes)

    @property
    def counts(self) -> dict[str, int | None]:
        """How many images each split must have."""
        return {"train": self.manifest.train, "test": self.manifest.test}

    def key(self) -> str:
        return self.manifest.key

    def prepare(self, repair: bool = False) -> None:
        if repair:
            obtain(self.manifest, self.root, repair=True)
        super().prepare(repair)

    def build(self, writer: Writer) -> None:
        paths = obtain(self.manifest, self.root)
        log.info("decoding %s from %s", self.name, next(iter(paths.values())).parent)
        self.decode(paths, writer)
        for split, n in self.counts.items():
            check_arrays(writer.arrays, split, self.spec, f"{self.name}/{split}", n, self.repair)

    @property
    def repair(self) -> str:
        """The command that gets good copies of the files."""
        return repair_command(self.name, self.root)

    @abstractmethod
    def decode(self, paths: dict[str, Path], writer: Writer) -> None:
        """Decodes the verified files."""


class IdxImages(FileImages):
    """A data set of four idx files, as MNIST is.

    Args:
        root: Folder to look in first and to download to; the cache if None.
    """

    def decode(self, paths: dict[str, Path], writer: Writer) -> None:
        for split, prefix in (("train", "train"), ("test", "t10k")):
            for part, dims in (("images-idx3", 3), ("labels-idx1", 1)):
                stem = f"{prefix}-{part}-ubyte"
                path = next(path for name, path in paths.items() if name.startswith(stem))
                put_idx(writer, split, read_idx(path, dims, self.repair))


def put_idx(writer: Writer, split: str, values: npt.NDArray[np.uint8]) -> None:
    """Stores the content of an idx file: images with a channel axis, labels as int64."""
    if values.ndim == 3:
        writer.put(f"{split}_x", values[:, None])
    else:
        writer.put(f"{split}_y", values.astype(np.int64))


def check_arrays(
    arrays: dict[str, npt.NDArray[Any]],
    split: str,
    spec: ImageSpec,
    where: str,
    n: int | None,
    repair: str,
) -> None:
    """`check_split` for decoded arrays, naming the command that repairs them.

    Raises:
        DataError: Wrong shape or count, or labels out of range.
    """
    y = arrays.get(f"{split}_y")
    loaded = Split(
        torch.from_numpy(arrays[f"{split}_x"]), None if y is None else torch.from_numpy(y)
    )
    try:
        check_split(loaded, spec, where, n)
    except DataError as error:
        raise DataError(f"{error}; repair: {repair}") from None
