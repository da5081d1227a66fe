"""CelebA: aligned faces of celebrities.

Reference: Liu, Luo, Wang and Tang (2015), Deep learning face attributes in the wild.
"""

import io
import zipfile
from pathlib import Path
from threading import Lock

import numpy as np
import numpy.typing as npt
from PIL import Image

from genlab.data.storage.archive import FileImages
from genlab.data.storage.cache import Writer
from genlab.data.storage.damage import expecting, read_bounded
from genlab.data.storage.decoding import fill
from genlab.data.storage.fitting import Fitting
from genlab.errors import ConfigError, nearest
from genlab.ranges import PositiveInt
from genlab.types import ImageSpec

__all__ = ["CelebA"]

PARTITIONS = {"train": "0", "test": "2"}
WIDTH, HEIGHT = 178, 218
LARGEST = 1 << 20  # bytes of a picture; they have some 7,000


class CelebA(FileImages):
    """162,770 + 19,962 aligned faces, centre-cropped and resized.

    The official validation partition of 19,867 images is left out; ``val_size`` images of the
    training partition serve for it, as with every other data set.

    Args:
        size: Height and width of the images.
        crop: Side of the square cut from the centre of the 178x218 originals. 140 is the protocol
            of WAE and RAE (arXiv 1711.01558, 1903.12436), 148 that of many VAEs.
        attribute: Name of one of the 40 attributes (``Smiling``) to be used as labels 0 and 1.
        root: Folder to look in first and to download to; the cache if None.

    Raises:
        ConfigError: The crop is larger than the originals.
    """

    name = "celeba"

    def __init__(
        self,
        size: PositiveInt = 64,
        crop: PositiveInt = 140,
        attribute: str | None = None,
        root: str | None = None,
    ):
        super().__init__(root)
        if crop > WIDTH:
            raise ConfigError(f"data.crop={crop}: must be at most {WIDTH}, the originals' width")
        self.size = size
        self.crop = crop
        self.attribute = attribute

    @property
    def spec(self) -> ImageSpec:
        return ImageSpec(3, self.size, self.size, 256, 2 if self.attribute else 0)

    @property
    def class_names(self) -> tuple[str, ...]:
        return (f"not {self.attribute}", self.attribute) if self.attribute else ()

    def key(self) -> str:
        return f"{self.manifest.key}-{self.size}-{self.crop}-{self.attribute}"

    def decode(self, paths: dict[str, Path], writer: Writer) -> None:
        path = paths["img_align_celeba.zip"]
        partition = dict(self._table(paths["list_eval_partition.txt"]))
        labels = self._labels(paths["list_attr_celeba.txt"])
        fitting = Fitting(self.size, 3)
        lock = Lock()  # one reader at a time in the archive; decoding is what takes time
        with expecting("CelebA's zip archive", path), zipfile.ZipFile(path) as archive:

            def read(name: str) -> npt.NDArray[np.uint8]:
                with lock, archive.open(f"img_align_celeba/{name}") as member:
                    data = read_bounded(member, LARGEST, name)
                with Image.open(io.BytesIO(data)) as picture:
                    return fitting(self._cut(picture))

            for split, code in PARTITIONS.items():
                names = [name for name, number in partition.items() if number == code]
                shape = (len(names), 3, self.size, self.size)
                fill(writer.array(f"{split}_x", shape, "uint8"), names, read)
                if labels is not None:
                    y = np.array([labels[name] for name in names], np.int64)
                    writer.put(f"{split}_y", y)

    def _cut(self, picture: Image.Image) -> Image.Image:
        left = (picture.width - self.crop) // 2
        top = (picture.height - self.crop) // 2
        return picture.crop((left, top, left + self.crop, top + self.crop))

    def _table(self, path: Path) -> list[tuple[str, str]]:
        rows = (line.split() for line in path.read_text(encoding="utf-8").splitlines())
        return [(row[0], row[1]) for row in rows if len(row) == 2]

    def _labels(self, path: Path) -> dict[str, int] | None:
        if self.attribute is None:
            return None
        lines = path.read_text(encoding="utf-8").splitlines()
        names = lines[1].split()
        if self.attribute not in names:
            raise ConfigError(
                f"data.attribute={self.attribute}: must be one of {', '.join(names)}"
                f"{nearest(self.attribute, names)}"
            )
        column = 1 + names.index(self.attribute)
        rows = (line.split() for line in lines[2:])
        return {row[0]: int(row[column] == "1") for row in rows if row}
