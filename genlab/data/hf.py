"""Data sets of the Hugging Face hub, or of any folder that the datasets library reads."""

import hashlib
import importlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from genlab.data.feed.split import set_aside
from genlab.data.images import CachedImages
from genlab.data.storage.cache import Writer
from genlab.data.storage.decoding import Decoder
from genlab.data.storage.fitting import Fitting, Way
from genlab.data.storage.picture_files import stamp
from genlab.data.storage.tally import tally
from genlab.errors import ConfigError, DataError, nearest
from genlab.ranges import Fraction, PositiveInt
from genlab.types import ImageSpec

__all__ = ["HuggingFace"]


class HuggingFace(CachedImages):
    """Images of a Hugging Face data set, centre-cropped to a square and resized.

    Args:
        path: Its name on the hub (``cifar10``), or that of a builder (``imagefolder``).
        config: Name of its configuration, where it has several.
        data_dir: Folder for a builder.
        image: Column of the images.
        label: Column of the labels, or None for none.
        classes: Number of classes, needed with ``label``: it is known before any download.
        train: Name of the training split.
        test: Name of the test split; if None, a share of the training split is set aside.
        test_size: That share.
        test_seed: Decides which images are set aside.
        size: Height and width of the images.
        channels: 1 for grey, 3 for colour.
        revision: Commit or tag of the data set on the hub: name one to have it reproducible.
            Without one, what was read first is kept until ``genlab data prepare``; local folders
            are read again when a file in them changes.
        bits: Used bits of grey pictures with 16; None takes those that the largest value needs.
        fit: What makes a square of a picture that is none: ``crop`` takes its centre, ``pad`` puts
            ground beside it.
        ground: What is behind transparent parts, and beside what is padded: ``white``, ``black``,
            ``grey`` or ``#rrggbb``.
        strict: Whether pictures that would be changed by more than being made smaller are refused.

    Raises:
        ConfigError: The datasets library is not installed, or there is no such column.
        DataError: There is no such split, or something else in a column than images and labels.
    """

    name = "hf"

    def __init__(
        self,
        path: str,
        config: str | None = None,
        data_dir: str | None = None,
        image: str = "image",
        label: str | None = None,
        classes: PositiveInt | None = None,
        train: str = "train",
        test: str | None = "test",
        test_size: Fraction = 0.1,
        test_seed: int = 0,
        size: PositiveInt = 32,
        channels: PositiveInt = 3,
        revision: str | None = None,
        bits: PositiveInt | None = None,
        fit: Way = "crop",
        ground: str = "white",
        strict: bool = False,
    ):
        self.fitting = Fitting(size, channels, bits, fit, ground)
        if label is not None and classes is None:
            raise ConfigError(f"data.label={label} needs data.classes, the number of classes")
        self.path = path
        self.config = config
        self.data_dir = None if data_dir is None else str(Path(data_dir).expanduser())
        self.image = image
        self.label = label
        self.classes = classes if label is not None else None
        self.train = train
        self.test = test
        self.test_size = test_size
        self.test_seed = test_seed
        self.size = size
        self.channels = channels
        self.revision = revision
        self.strict = strict

    @property
    def spec(self) -> ImageSpec:
        return ImageSpec(self.channels, self.size, self.size, 256, self.classes or 0)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes as the data set has them; empty before it was read."""
        return tuple((self._arrays.about if self._arrays else {}).get("classes", ()))

    def key(self) -> str:
        described = sorted((k, v) for k, v in vars(self).items() if not k.startswith("_"))
        state = hashlib.sha256(repr((3, described, os.environ.get("HF_ENDPOINT"))).encode())
        for place in (self.path, self.data_dir):
            if place is not None and Path(place).exists():
                state.update(repr(local_state(Path(place))).encode())
        return f"hf-{state.hexdigest()[:16]}"

    def build(self, writer: Writer) -> None:
        train = self._read(self.train)
        chosen: dict[str, tuple[Any, Sequence[int]]]
        if self.test is not None:
            test = self._read(self.test)
            chosen = {"train": (train, range(len(train))), "test": (test, range(len(test)))}
        else:
            rest, aside = set_aside(len(train), self.test_size, self.test_seed)
            chosen = {"train": (train, rest.tolist()), "test": (train, aside.tolist())}
        decoder = Decoder(self.fitting, self.strict)
        for split, (rows, index) in chosen.items():
            self._put(writer, decoder, split, rows, index)
        writer.about["converted"] = decoder.finish()
        names = getattr((getattr(train, "features", None) or {}).get(self.label), "names", None)
        writer.about["classes"] = list(names or ())

    def notes(self) -> list[str]:
        return tally("converted", self.arrays().about.get("converted", {}))

    def _put(
        self, writer: Writer, decoder: Decoder, split: str, rows: Any, index: Sequence[int]
    ) -> None:
        def opener(name: str) -> Image.Image:
            found = rows[int(name.rsplit("#", 1)[1])][self.image]
            if not isinstance(found, Image.Image):
                raise ValueError(f"data.image={self.image}: a {type(found).__name__}, no image")
            return found

        shape = (len(index), self.channels, self.size, self.size)
        names = [f"{self.path}/{split}#{i}" for i in index]
        decoder.fill(writer.array(f"{split}_x", shape, "uint8"), names, opener)
        if self.label is not None:
            where = f"{self.path}/{split}: data.label={self.label}"
            writer.put(f"{split}_y", whole_numbers(rows[self.label], where)[np.asarray(index)])

    def _read(self, split: str) -> Any:
        """A split as the library gives it, with the columns checked."""
        # The library, and the split
        try:
            library = importlib.import_module("datasets")
        except ImportError:
            raise ConfigError(
                "data=hf needs the datasets library: pip install 'genlab[hf]'"
            ) from None
        try:
            rows = library.load_dataset(
                self.path,
                self.config,
                data_dir=self.data_dir,
                split=split,
                revision=self.revision,
            )
        # The library raises a dozen kinds of errors, some of which are not OSError or ValueError.
        except Exception as error:
            reason = str(error).splitlines()[0] if str(error) else ""
            raise DataError(
                f"{self.path}: expected the split {split!r} of a data set, found "
                f"{type(error).__name__} ({reason}); see data.path, data.config, data.train and "
                "data.test"
            ) from error
        # The columns
        for key, column in (("image", self.image), ("label", self.label)):
            if column is not None and column not in rows.column_names:
                raise ConfigError(
                    f"data.{key}={column}: {self.path} has the columns "
                    f"{', '.join(rows.column_names)}{nearest(column, rows.column_names)}"
                )
        return rows


def whole_numbers(values: Any, where: str) -> npt.NDArray[np.int64]:
    """The labels in a column.

    Raises:
        DataError: There is something else in it.
    """
    labels = list(values)
    odd = next(
        (v for v in labels if isinstance(v, bool) or not isinstance(v, int | np.integer)), None
    )
    if odd is not None or None in labels:
        raise DataError(f"{where}: expected whole numbers, found {odd!r}")
    return np.asarray(labels, np.int64)


def local_state(place: Path) -> list[tuple[str, int, int, int]]:
    """Path and `stamp` of all files at a place, which may be one."""
    files = [place] if place.is_file() else list(place.rglob("*"))
    return sorted((str(file.resolve()), *stamp(file)) for file in files if file.is_file())
