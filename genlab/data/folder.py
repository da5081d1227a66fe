"""The user's own pictures."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from genlab.data.images import CachedImages
from genlab.data.storage.cache import Writer
from genlab.data.storage.damage import repairable
from genlab.data.storage.decoding import fill, open_picture
from genlab.errors import ConfigError, DataError
from genlab.ranges import Fraction, PositiveInt
from genlab.rng import stream
from genlab.types import ImageSpec

__all__ = ["ImageFolder"]

SUFFIXES = frozenset(
    [".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"]
)


class ImageFolder(CachedImages):
    """A folder of pictures of any format and size.

    Each is turned upright, centre-cropped to a square and resized. If it has the sub-folders
    ``train`` and ``test``, those are the splits; else a share of the pictures is set aside for
    the test, always the same for one ``test_seed``. Sub-folders are classes if all pictures lie
    in sub-folders.

    Args:
        path: The folder; it is searched to any depth.
        size: Height and width of the images.
        channels: 1 for grey, 3 for colour.
        labels: Whether sub-folders are classes; if None, they are where all pictures lie in one
            of at least two.
        test_size: Share of the pictures for the test, where there is no folder of that name.
        test_seed: Decides which ones.

    Raises:
        ConfigError: ``channels`` is neither 1 nor 3, or there are no classes.
        DataError: No such folder, no pictures in it, or one of them cannot be read.
    """

    name = "folder"

    def __init__(
        self,
        path: str,
        size: PositiveInt = 32,
        channels: PositiveInt = 3,
        labels: bool | None = None,
        test_size: Fraction = 0.1,
        test_seed: int = 0,
    ):
        if channels not in (1, 3):
            raise ConfigError(f"data.channels={channels}: must be 1 (grey) or 3 (colour)")
        self.path = Path(path).expanduser()
        self.size = size
        self.channels = channels
        self.labels = labels
        self.test_size = test_size
        self.test_seed = test_seed
        self._found: tuple[dict[str, list[Path]], list[str]] | None = None

    @property
    def spec(self) -> ImageSpec:
        classes = len(self.classes)
        return ImageSpec(self.channels, self.size, self.size, 256, classes)

    @property
    def classes(self) -> list[str]:
        """Names of the classes in the order of the labels; empty without classes."""
        return self._scan()[1]

    def key(self) -> str:
        splits, classes = self._scan()
        state = hashlib.sha256(repr((self.size, self.channels, classes)).encode())
        for split, paths in splits.items():
            for path in paths:
                known = path.stat()
                place = (split, str(path.relative_to(self.path)), known.st_size, known.st_mtime_ns)
                state.update(repr(place).encode())
        return f"folder-{state.hexdigest()[:16]}"

    def build(self, writer: Writer) -> None:
        splits, classes = self._scan()
        for split, paths in splits.items():
            shape = (len(paths), self.channels, self.size, self.size)
            with repairable("replace or remove them"):
                fill(
                    writer.array(f"{split}_x", shape, "uint8"),
                    [str(path) for path in paths],
                    lambda name: open_picture(name, self.size, self.channels),
                )
            if classes:
                y = [classes.index(self._class(path)) for path in paths]
                writer.put(f"{split}_y", np.array(y, np.int64))

    def _scan(self) -> tuple[dict[str, list[Path]], list[str]]:
        """The pictures of each split, and the names of the classes."""
        if self._found is None:
            self._found = self._find()
        return self._found

    def _find(self) -> tuple[dict[str, list[Path]], list[str]]:
        if not self.path.is_dir():
            found = "a file" if self.path.exists() else "nothing"
            raise DataError(
                f"{self.path}: expected a folder of pictures, found {found}; set data.path"
            )
        every = sorted(self._pictures())
        if len(every) < 2:
            raise DataError(
                f"{self.path}: expected at least 2 pictures ({' '.join(sorted(SUFFIXES))}), "
                f"found {len(every)}"
            )
        self._own_splits = {p.relative_to(self.path).parts[0] for p in every} == {"train", "test"}
        if self._own_splits:
            splits = {
                split: [p for p in every if p.relative_to(self.path).parts[0] == split]
                for split in ("train", "test")
            }
        else:
            n_test = max(1, round(self.test_size * len(every)))
            order = torch.randperm(
                len(every), generator=stream(self.test_seed, "test split")
            ).tolist()
            chosen = set(order[:n_test])
            splits = {
                "train": [p for i, p in enumerate(every) if i not in chosen],
                "test": [p for i, p in enumerate(every) if i in chosen],
            }
        return splits, self._classes(every)

    def _pictures(self) -> Iterator[Path]:
        """All files that look like pictures; what cannot be looked into is an error, not absent."""

        def refuse(error: OSError) -> None:
            raise DataError(
                f"{error.filename}: expected a folder that can be read, found {error.strerror}; "
                "repair: make it readable, or remove it"
            )

        for folder, _, names in os.walk(self.path, onerror=refuse):
            for name in names:
                path = Path(folder, name)
                if path.suffix.lower() not in SUFFIXES or name.startswith("."):
                    continue
                if not path.exists():
                    raise DataError(
                        f"{path}: expected a picture, found a link to nothing "
                        f"({os.readlink(path)}); repair: replace or remove it"
                    )
                if path.is_file():
                    yield path

    def _classes(self, every: list[Path]) -> list[str]:
        if self.labels is False:
            return []
        names = {self._class(path) for path in every}
        if "" not in names and len(names) > 1:
            return sorted(names)
        if self.labels:
            raise ConfigError(
                f"data.labels=true needs a sub-folder for each class in {self.path}, "
                f"found {sorted(names - {''}) or 'none'}"
            )
        return []

    def _class(self, path: Path) -> str:
        """Name of the sub-folder that a picture lies in, or ""."""
        parts = path.relative_to(self.path).parts[int(self._own_splits) : -1]
        return parts[0] if parts else ""
