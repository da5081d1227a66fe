"""Drawn portraits with nine exact attributes, in the package.

"Personas" by Draftbit, remixed by DiceBear, CC BY 4.0: see storage/faces/LICENCE.md.
"""

import hashlib
import io
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from genlab.data.images import Attributes, CachedImages, Split, SplitName
from genlab.data.storage.bundled import read_bundled
from genlab.data.storage.cache import Writer, array_digest
from genlab.data.storage.class_names import FACE_ATTRIBUTES
from genlab.data.storage.manifests import MANIFESTS
from genlab.data.storage.sheet_pixels import Size, check_size, put_pictures
from genlab.errors import ConfigError, nearest
from genlab.types import ImageSpec

__all__ = ["Faces"]

SPLITS: tuple[SplitName, ...] = ("train", "test", "test_unseen")
"""By their number in the last column of the attributes."""

COUNTS = {"train": 9_780, "test": 1_000, "test_unseen": 1_206}

LARGEST = 160_000_000
"""Bytes of the pictures: 147 million are right."""

COLOURLESS = ("bald", "beanie", "cap")
"""Hair without a colour; a beard has that of the hair."""


class Faces(CachedImages):
    """11,986 drawn portraits, 3x64x64, no two alike, each with the values of nine attributes.

    Beside 9,780 to train on and 1,000 to test there are 1,206 of a split ``test_unseen``: 14 of
    the 119 pairs of hair and its colour, which occur in no training picture.

    Args:
        size: Height and width; 32 are the means of 2x2 pixels.
        labels: The attribute that is the label, None for images without labels; `attributes` has
            all nine.

    Raises:
        ConfigError: There is no such size or attribute.
    """

    name = "faces"

    def __init__(
        self,
        size: Size = 64,
        labels: Literal[
            "hair",
            "hair_colour",
            "eyes",
            "facial_hair",
            "mouth",
            "nose",
            "clothes",
            "clothes_colour",
            "skin",
        ]
        | None = "hair",
    ):
        check_size(size)
        if labels is not None and labels not in FACE_ATTRIBUTES:
            raise ConfigError(
                f"data.labels={labels}: must be null or one of {', '.join(FACE_ATTRIBUTES)}"
                f"{nearest(labels, FACE_ATTRIBUTES)}"
            )
        self.size = size
        self.labels = labels

    @property
    def spec(self) -> ImageSpec:
        return ImageSpec(3, self.size, self.size, 256, len(self.class_names))

    @property
    def class_names(self) -> tuple[str, ...]:
        return FACE_ATTRIBUTES[self.labels] if self.labels else ()

    def splits_there(self) -> tuple[SplitName, ...]:
        return SPLITS

    def key(self) -> str:
        return f"{MANIFESTS['faces'].key}-{self.size}"

    def build(self, writer: Writer) -> None:
        manifest = MANIFESTS["faces"]
        table = array_of(read_bundled(manifest, "attributes.npy.xz", LARGEST)).T
        pictures = array_of(read_bundled(manifest, "faces.npy.xz", LARGEST))
        # They are stored sorted, which compresses well; the first n of a split are to be any n.
        names = ["/".join(map(str, row)) for row in table[:, :-1].tolist()]
        order = np.argsort([hashlib.sha256(f"faces/{name}".encode()).digest() for name in names])
        for number, split in enumerate(SPLITS):
            index = order[table[order, -1] == number]
            shape = (COUNTS[split], 3, self.size, self.size)
            put_pictures(writer.array(f"{split}_x", shape, "uint8"), pictures, index)
            writer.put(f"{split}_attributes", table[index, :-1])

    def pick(self, arrays: Mapping[str, npt.NDArray[Any]], split: SplitName) -> Split:
        x = torch.from_numpy(arrays[f"{split}_x"])
        if self.labels is None:
            return Split(x)
        column = list(FACE_ATTRIBUTES).index(self.labels)
        return Split(x, torch.from_numpy(arrays[f"{split}_attributes"][:, column].astype(np.int64)))

    def attributes(self, split: SplitName) -> Attributes:
        y = torch.from_numpy(self.arrays()[f"{split}_attributes"].astype(np.int64))
        names = tuple(FACE_ATTRIBUTES)
        hair, colour, beard = (names.index(n) for n in ("hair", "hair_colour", "facial_hair"))
        bald = [FACE_ATTRIBUTES["hair"].index(value) for value in COLOURLESS]
        visible = torch.ones_like(y, dtype=torch.bool)
        visible[:, colour] = ~torch.isin(y[:, hair], torch.tensor(bald)) | (y[:, beard] > 0)
        return Attributes(names, tuple(FACE_ATTRIBUTES.values()), y, visible)

    def _digests(self) -> list[str]:
        digests = self.arrays().digests
        labels = [
            "" if (y := self.load(split).y) is None else array_digest(y.numpy()) for split in SPLITS
        ]
        return [*(digests[f"{split}_x"] for split in SPLITS), *labels]


def array_of(content: bytes) -> npt.NDArray[np.uint8]:
    """The array of a verified .npy file, without a copy of it."""
    stream = io.BytesIO(content[:1024])
    version = np.lib.format.read_magic(stream)
    assert version == (1, 0), f"a .npy of version {version}"
    shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    return np.frombuffer(content, dtype, offset=stream.tell()).reshape(shape)
