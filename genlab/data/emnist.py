"""EMNIST: handwritten letters and digits in the format of MNIST.

Reference: Cohen, Afshar, Tapson and van Schaik (2017), arXiv 1702.05373.
"""

import gzip
import zipfile
from pathlib import Path
from typing import Literal

import numpy as np

from genlab.data.storage.archive import FileImages
from genlab.data.storage.cache import Writer
from genlab.data.storage.class_names import EMNIST
from genlab.data.storage.damage import expecting, read_bounded
from genlab.data.storage.idx import parse_idx
from genlab.errors import ConfigError, nearest
from genlab.types import ImageSpec

__all__ = ["Emnist"]

SETS = {
    "balanced": (112_800, 18_800, 47),
    "byclass": (697_932, 116_323, 62),
    "bymerge": (697_932, 116_323, 47),
    "digits": (240_000, 40_000, 10),
    "letters": (124_800, 20_800, 26),
    "mnist": (60_000, 10_000, 10),
}
"""Training images, test images and classes of each set."""


class Emnist(FileImages):
    """Handwritten letters and digits, 1x28x28; up to 697,932 + 116,323 images in 62 classes.

    The published files hold the images transposed; here they stand upright. The letters' labels
    count from 0 rather than from 1.

    Args:
        subset: Which of the six sets.
        root: Folder to look in first and to download to; the cache if None.

    Raises:
        ConfigError: No such set.
    """

    name = "emnist"

    def __init__(
        self,
        subset: Literal[
            "balanced", "byclass", "bymerge", "digits", "letters", "mnist"
        ] = "balanced",
        root: str | None = None,
    ):
        super().__init__(root)
        if subset not in SETS:
            raise ConfigError(
                f"data.subset={subset}: must be one of {', '.join(SETS)}{nearest(subset, SETS)}"
            )
        self.subset = subset

    @property
    def spec(self) -> ImageSpec:
        return ImageSpec(1, 28, 28, 256, SETS[self.subset][2])

    @property
    def class_names(self) -> tuple[str, ...]:
        return EMNIST[self.subset]

    @property
    def counts(self) -> dict[str, int | None]:
        train, test, _ = SETS[self.subset]
        return {"train": train, "test": test}

    def key(self) -> str:
        return f"{self.manifest.key}-{self.subset}"

    def decode(self, paths: dict[str, Path], writer: Writer) -> None:
        path = paths["gzip.zip"]
        with expecting("EMNIST's zip archive", path), zipfile.ZipFile(path) as archive:
            for split in ("train", "test"):
                stem = f"gzip/emnist-{self.subset}-{split}"
                n = self.counts[split]
                assert n is not None
                x = unpacked(archive, f"{stem}-images-idx3-ubyte.gz", 28 * 28 * n)
                y = unpacked(archive, f"{stem}-labels-idx1-ubyte.gz", n)
                images = parse_idx(x, f"{path}:{stem}-images", 3)
                labels = parse_idx(y, f"{path}:{stem}-labels", 1)
                writer.put(f"{split}_x", images.swapaxes(1, 2)[:, None])
                first = int(self.subset == "letters")
                writer.put(f"{split}_y", labels.astype(np.int64) - first)


def unpacked(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """A gzip file in the archive, unpacked; its header is of 16 bytes at most."""
    with archive.open(name) as member, gzip.open(member) as file:
        return read_bounded(file, most + 16, f"{archive.filename}:{name}")
