"""Interface of a data set of discrete images."""

import hashlib
import shutil
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, NamedTuple

import numpy.typing as npt
import torch
from torch import Tensor

from genlab.data.storage.cache import Arrays, Writer, array_digest, cached
from genlab.data.storage.manifests import MANIFESTS
from genlab.data.storage.terms import Terms, terms_of
from genlab.errors import DataError
from genlab.system.paths import cache_dir
from genlab.types import ImageSpec, Spec

__all__ = [
    "Attributes",
    "CachedImages",
    "ImageData",
    "Split",
    "SplitName",
    "check_split",
    "split_of",
]

SplitName = Literal["train", "val", "test", "test_unseen"]
"""``test_unseen``: a second test split, of combinations of attributes that are never trained on."""


class Split(NamedTuple):
    """Images of one split.

    Args:
        x: Integers ``0 .. levels - 1``, uint8 of shape ``(N, C, H, W)``; possibly a memory map.
        y: Labels, int64 of shape ``(N,)``, or None where the data has none.
    """

    x: Tensor
    y: Tensor | None = None

    def take(self, index: Tensor | slice) -> "Split":
        """The images of an index or a slice, with their labels."""
        return Split(self.x[index], None if self.y is None else self.y[index])


class Attributes(NamedTuple):
    """What is known of each image of a split beside the label that a model is given.

    Args:
        names: Names of the A attributes.
        values: Names of the values of each.
        y: Number of the value, int64 of shape ``(N, A)``.
        visible: False where an image does not show the value, bool of shape ``(N, A)``: a bald
            head has no colour of hair that a judge could see.
    """

    names: tuple[str, ...]
    values: tuple[tuple[str, ...], ...]
    y: Tensor
    visible: Tensor

    def take(self, index: Tensor | slice) -> "Attributes":
        """Those of the images of an index or a slice."""
        return self._replace(y=self.y[index], visible=self.visible[index])


class ImageData(ABC):
    """A data set of discrete images: what they look like, and two splits of them.

    Constructing one touches no file and no network. `prepare` gets and verifies what is needed
    (one process does it), `load` reads it (every process does).
    """

    name: ClassVar[str]
    """The name in tables and reports, that of the YAML."""

    provides: ClassVar[type[Spec]] = ImageSpec
    """The kind of `spec`, for the check of a config, which reads it and imports nothing."""

    @property
    @abstractmethod
    def spec(self) -> ImageSpec:
        """Shape, levels and classes of the images as a model sees them."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes in the order of the labels; empty where they have none."""
        return ()

    @property
    def own_val(self) -> bool:
        """True where the data comes with a validation split, so that none is set aside."""
        return False

    @property
    def terms(self) -> Terms:
        """Licence and attribution of the images, which go where they or a model of them go."""
        return terms_of(MANIFESTS.get(self.name))

    def groups(self) -> Tensor | None:
        """Group of each training image, int64 ``(N,)``; None where each is one by itself.

        Images of a group are alike (overlapping tiles, an emoji and its mirror image), so a group
        is never divided between training and validation.
        """
        return None

    def attributes(self, split: SplitName) -> Attributes | None:
        """What else is known of the images of a split, in their order; None where nothing is."""
        return None

    def notes(self) -> list[str]:
        """Notes on what was left out of the prepared data or converted, a line each."""
        return []

    @abstractmethod
    def load(self, split: SplitName) -> Split:
        """The images of a split of `splits_there`, always in the same order.

        Raises:
            DataError: A file is missing or damaged.
        """

    def check(self, split: Split, where: str) -> None:
        """Refuses what was loaded where it is not as the spec says.

        Raises:
            DataError: It is not.
        """
        check_split(split, self.spec, where)

    def splits_there(self) -> tuple[SplitName, ...]:
        """The splits that there are."""
        return ("train", "test", "val") if self.own_val else ("train", "test")

    def outline(self, split: SplitName) -> tuple[int, Tensor | None]:
        """Number of images of a split and their labels, without decoding where that can be."""
        loaded = self.load(split)
        return len(loaded.x), loaded.y

    def peek(self, split: SplitName, index: Tensor) -> Tensor:
        """Some stored images of a split, without decoding all where that can be."""
        return self.load(split).x[index]

    def prepare(self, repair: bool = False) -> None:
        """Makes sure that the data is on this machine and whole.

        Args:
            repair: Get what is damaged again, instead of raising an error.

        Raises:
            DataError: It is not, and cannot be had.
        """
        return

    def resample(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Draws what a model sees of stored images; by default the images themselves.

        Args:
            x: Stored images, uint8 ``(B, C, H, W)``.
            generator: Source of all randomness, on the device of ``x``.

        Returns:
            uint8 ``(B, C, H, W)`` with values below ``spec.levels``.
        """
        return x

    def fingerprint(self) -> str:
        """SHA-256 in hex of the name, the geometry and the contents of all splits."""
        return fingerprint(self.name, self.spec, self._digests())

    def _digests(self) -> list[str]:
        digests = []
        for name in self.splits_there():
            split = self.load(name)
            digests.append(array_digest(split.x.numpy()))
            digests.append("" if split.y is None else array_digest(split.y.numpy()))
        return digests


class CachedImages(ImageData):
    """Images that are decoded once and then mapped from the user's cache.

    The arrays are ``train_x``, ``train_y``, ``test_x`` and ``test_y``, and those of a validation
    split where the data has one; the labels may be missing.
    """

    _arrays: Arrays | None = None

    @abstractmethod
    def key(self) -> str:
        """Name of the cache entry; it changes with whatever the images are made from."""

    @abstractmethod
    def build(self, writer: Writer) -> None:
        """Decodes the images.

        Raises:
            DataError: A file is missing or damaged.
        """

    def prepare(self, repair: bool = False) -> None:
        if repair:
            shutil.rmtree(cache_dir() / "arrays" / self.key(), ignore_errors=True)
            self._arrays = None
        self.arrays()

    def arrays(self) -> Arrays:
        """The decoded images; built where the cache has none."""
        if self._arrays is None:
            self._arrays = cached(self.key(), self._build_checked)
        return self._arrays

    def pick(self, arrays: Mapping[str, npt.NDArray[Any]], split: SplitName) -> Split:
        """A split of the decoded arrays; to be overridden where the labels are one of several."""
        return split_of(arrays, split)

    def _build_checked(self, writer: Writer) -> None:
        """Decodes the images, and stores nothing that does not fit."""
        self.build(writer)
        for split in self.splits_there():
            check_split(self.pick(writer.arrays, split), self.spec, f"{self.name}/{split}")

    def load(self, split: SplitName) -> Split:
        loaded = self.pick(self.arrays(), split)
        check_split(loaded, self.spec, f"{self.name}/{split}")
        return loaded

    def _digests(self) -> list[str]:
        digests = self.arrays().digests
        return [digests.get(f"{name}_{part}", "") for name in self.splits_there() for part in "xy"]


def split_of(arrays: Mapping[str, npt.NDArray[Any]], split: str) -> Split:
    """The tensors of a split over its arrays, which share their memory."""
    y = arrays.get(f"{split}_y")
    x = torch.from_numpy(arrays[f"{split}_x"])
    return Split(x, None if y is None else torch.from_numpy(y))


def fingerprint(name: str, spec: ImageSpec, digests: list[str]) -> str:
    """SHA-256 in hex of a name, a geometry and the digests of contents."""
    text = "/".join([name, str((*spec.shape, spec.levels, spec.num_classes)), *digests])
    return hashlib.sha256(text.encode()).hexdigest()


def check_split(split: Split, spec: ImageSpec, where: str, n: int | None = None) -> None:
    """Checks shapes, types, counts and the range of the labels.

    Args:
        split: What was loaded.
        spec: What it has to look like; `ImageSpec.levels` is not checked, as resampled data is
            stored with others.
        where: What to call it in a message.
        n: How many images there must be, where that is known.

    Raises:
        DataError: Something does not fit.
    """
    x, y = split
    if x.dtype != torch.uint8 or x.ndim != 4 or tuple(x.shape[1:]) != spec.shape:
        raise DataError(
            f"{where}: expected uint8 images of shape {spec.shape}, found {x.dtype} "
            f"of shape {tuple(x.shape[1:])}"
        )
    if len(x) == 0 or (n is not None and len(x) != n):
        raise DataError(f"{where}: expected {n or 'some'} images, found {len(x)}")
    if (y is None) != (spec.num_classes == 0):
        found = "none" if y is None else f"{len(y)}"
        raise DataError(f"{where}: expected {spec.num_classes} classes of labels, found {found}")
    if y is None:
        return
    if len(y) != len(x):
        raise DataError(f"{where}: expected {len(x)} labels for {len(x)} images, found {len(y)}")
    low, high = int(y.min()), int(y.max())
    if low < 0 or high >= spec.num_classes:
        raise DataError(
            f"{where}: expected labels from 0 to {spec.num_classes - 1}, found {low} to {high}"
        )
