"""Data sets of the Hugging Face hub, or of any folder that the datasets library reads."""

import hashlib
import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from genlab.data.feed.split import set_aside
from genlab.data.images import CachedImages
from genlab.data.storage.cache import Writer
from genlab.data.storage.decoding import fill, fit
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

    Raises:
        ConfigError: The datasets library is not installed, or there is no such column.
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
    ):
        if channels not in (1, 3):
            raise ConfigError(f"data.channels={channels}: must be 1 (grey) or 3 (colour)")
        if label is not None and classes is None:
            raise ConfigError(f"data.label={label} needs data.classes, the number of classes")
        self.path = path
        self.config = config
        self.data_dir = data_dir
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

    @property
    def spec(self) -> ImageSpec:
        return ImageSpec(self.channels, self.size, self.size, 256, self.classes or 0)

    def key(self) -> str:
        described = sorted((k, v) for k, v in vars(self).items() if not k.startswith("_"))
        return f"hf-{hashlib.sha256(repr(described).encode()).hexdigest()[:16]}"

    def build(self, writer: Writer) -> None:
        train = self._read(self.train)
        if self.test is not None:
            test = self._read(self.test)
            self._put(writer, "train", train, range(len(train)))
            self._put(writer, "test", test, range(len(test)))
        else:
            for_train, for_test = set_aside(len(train), self.test_size, self.test_seed)
            self._put(writer, "train", train, for_train.tolist())
            self._put(writer, "test", train, for_test.tolist())

    def _put(self, writer: Writer, split: str, rows: Any, index: Sequence[int]) -> None:
        def read(name: str) -> npt.NDArray[np.uint8]:
            return fit(rows[int(name.rsplit("#", 1)[1])][self.image], self.size, self.channels)

        shape = (len(index), self.channels, self.size, self.size)
        names = [f"{self.path}/{split}#{i}" for i in index]
        fill(writer.array(f"{split}_x", shape, "uint8"), names, read)
        if self.label is not None:
            labels = np.asarray(rows[self.label], np.int64)
            writer.put(f"{split}_y", labels[np.asarray(index)])

    def _read(self, split: str) -> Any:
        """A split as the library gives it, with the columns checked."""
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
        for key, column in (("image", self.image), ("label", self.label)):
            if column is not None and column not in rows.column_names:
                raise ConfigError(
                    f"data.{key}={column}: {self.path} has the columns "
                    f"{', '.join(rows.column_names)}{nearest(column, rows.column_names)}"
                )
        return rows
