"""Data set of a folder of the user's pictures."""

import hashlib
from collections import Counter
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from genlab.data.feed.split import set_aside
from genlab.data.images import CachedImages, SplitName
from genlab.data.storage.cache import Writer
from genlab.data.storage.damage import repairable
from genlab.data.storage.decoding import Decoder
from genlab.data.storage.fitting import Fitting, Way
from genlab.data.storage.folder_layout import Layout, read_layout
from genlab.data.storage.picture_files import SUFFIXES, find_pictures, stamp
from genlab.data.storage.tally import tally
from genlab.errors import ConfigError, DataError
from genlab.ranges import Fraction, PositiveInt
from genlab.types import ImageSpec

__all__ = ["ImageFolder"]

Parts = tuple[str, ...]


class ImageFolder(CachedImages):
    """A folder of pictures of any format and size; `docs/pictures.md` has all that is done to them.

    Each is turned upright, centre-cropped to a square and resized. Folders ``train``, ``val`` and
    ``test`` (in any spelling, at any depth) are the splits; without a test, a share of the training
    pictures is set aside, always the same for one ``test_seed``. Other sub-folders are classes if
    all pictures lie in one of several; numbers in their names count as numbers.

    Args:
        path: The folder; it is searched to any depth, through links.
        size: Height and width of the images.
        channels: 1 for grey, 3 for colour.
        labels: Whether sub-folders are classes; if None, they are where all pictures lie in one
            of at least two. True leaves out the pictures beside them.
        test_size: Share of the pictures for the test, where there is no folder of that name.
        test_seed: Decides which ones.
        splits: Whether folders named so are the splits; if None, they are where no others lie
            beside them. True leaves out the others, False takes all folders alike.
        bits: Used bits of grey pictures with 16; None takes those that the largest value needs.
        fit: What makes a square of a picture that is none: ``crop`` takes its centre, ``pad`` puts
            ground beside it.
        ground: What is behind transparent parts, and beside what is padded: ``white``, ``black``,
            ``grey`` or ``#rrggbb``.
        strict: Whether pictures that would be changed by more than being made smaller are refused.

    Raises:
        ConfigError: ``channels`` is neither 1 nor 3, there are no classes, or it is unclear what
            are splits.
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
        splits: bool | None = None,
        bits: PositiveInt | None = None,
        fit: Way = "crop",
        ground: str = "white",
        strict: bool = False,
    ):
        self.fitting = Fitting(size, channels, bits, fit, ground)
        self.path = Path(path).expanduser()
        self.size = size
        self.channels = channels
        self.labels = labels
        self.test_size = test_size
        self.test_seed = test_seed
        self.by_name = splits
        self.strict = strict

    @property
    def spec(self) -> ImageSpec:
        return ImageSpec(self.channels, self.size, self.size, 256, len(self.classes))

    @property
    def class_names(self) -> tuple[str, ...]:
        return tuple(self.classes)

    @property
    def classes(self) -> list[str]:
        """Names of the classes in the order of the labels; empty without classes."""
        return self.layout.classes

    @property
    def own_val(self) -> bool:
        return "val" in self.splits

    def key(self) -> str:
        # 3: how pictures are decoded; to be raised with any change of that.
        where = str(self.path.resolve())
        state = hashlib.sha256(repr((3, where, self.fitting, self.strict)).encode())
        state.update(repr(self.classes).encode())
        for split, paths in self.splits.items():
            for path in paths:
                state.update(repr((split, str(path.relative_to(self.path)), *stamp(path))).encode())
        return f"folder-{state.hexdigest()[:16]}"

    def build(self, writer: Writer) -> None:
        decoder = Decoder(self.fitting, self.strict)
        with repairable("replace or remove them"):
            for split, paths in self.splits.items():
                shape = (len(paths), self.channels, self.size, self.size)
                out = writer.array(f"{split}_x", shape, "uint8")
                decoder.fill(out, [str(path) for path in paths])
                if (y := self.labels_of(split)) is not None:
                    writer.put(f"{split}_y", y)
            writer.about["converted"] = decoder.finish()

    def notes(self) -> list[str]:
        converted = self.arrays().about.get("converted", {})
        return [
            *self.layout.notes,
            *tally("left out", self.skipped),
            *tally("converted", converted),
        ]

    def outline(self, split: SplitName) -> tuple[int, Tensor | None]:
        y = self.labels_of(split)
        return len(self._index[split]), None if y is None else torch.from_numpy(y)

    def peek(self, split: SplitName, index: Tensor) -> Tensor:
        names = [str(self.splits[split][i]) for i in index.tolist()]
        out = np.empty((len(names), self.channels, self.size, self.size), np.uint8)
        decoder = Decoder(self.fitting, self.strict)
        with repairable("replace or remove them"):
            decoder.fill(out, names)
        if decoder.deep and self.fitting.bits is None:  # all pictures decide on the bits
            return super().peek(split, index)
        return torch.from_numpy(out)

    @cached_property
    def splits(self) -> dict[SplitName, list[Path]]:
        """The pictures of each split."""
        return {
            split: [self.path.joinpath(*self._found[0][i]) for i in index]
            for split, index in self._index.items()
        }

    def labels_of(self, split: SplitName) -> npt.NDArray[np.int64] | None:
        """The labels of a split's pictures; None without classes."""
        if not self.classes:
            return None
        number = {name: i for i, name in enumerate(self.classes)}
        places = [self.layout.places[i] for i in self._index[split]]
        return np.array([number[place.label] for place in places if place is not None], np.int64)

    @property
    def skipped(self) -> Counter[str]:
        """Numbers of files below the folder that are not taken, by the reason."""
        return self._found[1] + self.layout.skipped

    @cached_property
    def layout(self) -> Layout:
        """Split and class of each picture."""
        return read_layout(self._found[0], self.by_name, self.labels, str(self.path))

    @cached_property
    def _found(self) -> tuple[list[Parts], Counter[str]]:
        """The pictures in the order of their paths, and what else there is."""
        if not self.path.is_dir():
            found = "a file" if self.path.exists() else "nothing"
            raise DataError(
                f"{self.path}: expected a folder of pictures, found {found}; set data.path"
            )
        pictures, skipped = find_pictures(self.path)
        if len(pictures) < 2:
            others = "".join(f"; {line}" for line in tally("left out", skipped))
            raise DataError(
                f"{self.path}: expected at least 2 pictures ({' '.join(sorted(SUFFIXES))}), "
                f"found {len(pictures)}{others}"
            )
        return pictures, skipped

    @cached_property
    def _index(self) -> dict[SplitName, list[int]]:
        """Numbers of the pictures of each split."""
        index: dict[SplitName, list[int]] = {"train": [], "val": [], "test": []}
        for i, place in enumerate(self.layout.places):
            if place is not None:
                index[place.split or "train"].append(i)
        if not index["test"]:
            rest = index["train"]
            train, test = set_aside(len(rest), self.test_size, self.test_seed)
            index["train"], index["test"] = [rest[i] for i in train], [rest[i] for i in test]
        if not index["train"]:
            raise ConfigError(
                f"{self.path}: no pictures are left to train on "
                f"(data.test_size={self.test_size}, data.labels={self.labels})"
            )
        return {split: numbers for split, numbers in index.items() if numbers}
