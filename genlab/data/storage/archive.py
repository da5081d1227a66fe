"""Data sets that consist of files described by a manifest."""

import logging
from abc import abstractmethod
from pathlib import Path

import numpy as np
import numpy.typing as npt

from genlab.data.images import CachedImages, check_split, split_of
from genlab.data.storage.cache import Writer
from genlab.data.storage.damage import repairable
from genlab.data.storage.idx import idx_dims, read_idx
from genlab.data.storage.manifest import Manifest, repair_command
from genlab.data.storage.manifests import MANIFESTS
from genlab.data.storage.sources import obtain
from genlab.types import ImageSpec

__all__ = ["FileImages", "IdxImages", "put_idx"]

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
        """The files, and the geometry of the images in them."""
        return MANIFESTS[self.name]

    @property
    def spec(self) -> ImageSpec:
        manifest = self.manifest
        assert manifest.shape is not None, "a data set of variable shape brings its own spec"
        return ImageSpec(*manifest.shape, manifest.levels, manifest.classes)

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.manifest.class_names

    @property
    def counts(self) -> dict[str, int | None]:
        """Number of images that each split must have."""
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
        with repairable(repair_command(self.name, self.root)):
            self.decode(paths, writer)
            for split, n in self.counts.items():
                found = split_of(writer.arrays, split)
                check_split(found, self.spec, f"{self.name}/{split}", n)

    @abstractmethod
    def decode(self, paths: dict[str, Path], writer: Writer) -> None:
        """Decodes the verified files.

        Raises:
            DataError: There is something else in a file than its format has.
        """


class IdxImages(FileImages):
    """A data set of four idx files, as MNIST is.

    Args:
        root: Folder to look in first and to download to; the cache if None.
    """

    def decode(self, paths: dict[str, Path], writer: Writer) -> None:
        for name, path in paths.items():
            put_idx(writer, name, read_idx(path, idx_dims(name)))


def put_idx(writer: Writer, name: str, values: npt.NDArray[np.uint8]) -> None:
    """Stores the content of an idx file: images with a channel axis, labels as int64."""
    split = "train" if name.startswith("train") else "test"
    if values.ndim == 3:
        writer.put(f"{split}_x", values[:, None])
    else:
        writer.put(f"{split}_y", values.astype(np.int64))
