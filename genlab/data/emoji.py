"""Emoji of several makers, drawn at 64x64; three styles come with the package.

Licences and makers: storage/emoji/LICENCE.md. Names and groups are those of emojibase, after
Unicode CLDR.
"""

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from genlab.data.images import CachedImages, Split, SplitName
from genlab.data.storage.bundled import REPAIR, bundle, read_bundled
from genlab.data.storage.cache import Writer, array_digest
from genlab.data.storage.class_names import EMOJI_GROUPS
from genlab.data.storage.damage import expecting
from genlab.data.storage.emoji_sheets import SHEETS, draw_sheet, encode
from genlab.data.storage.manifest import DataFile, Manifest, repair_command
from genlab.data.storage.manifests import MANIFESTS
from genlab.data.storage.packages import unpack
from genlab.data.storage.sheet_pixels import (
    Size,
    check_size,
    compose,
    cut,
    parse_ground,
    put_pictures,
)
from genlab.data.storage.sources import folders, obtain_file
from genlab.data.storage.terms import Terms, terms_of
from genlab.errors import ConfigError, DataError, nearest
from genlab.system.paths import check_writable, write_atomically
from genlab.types import ImageSpec

__all__ = ["STYLES", "Emoji"]

SPLITS: tuple[SplitName, ...] = ("train", "test")


class Style(NamedTuple):
    """One maker's drawings of all emoji.

    Args:
        file: Its sheet.
        licence: Of the drawings.
        attribution: Who made them, and what was changed.
    """

    file: str
    licence: str
    attribution: str

    @property
    def line(self) -> bool:
        """True for black lines on white, which have no transparent parts."""
        return self.file.endswith(".png")


STYLES = {
    "fluent": Style(
        "fluent.webp",
        "MIT",
        "Fluent Emoji (flat) by Microsoft Corporation, drawn at 64x64",
    ),
    "fluent_line": Style(
        "fluent_line.png",
        "MIT",
        "Fluent Emoji (high contrast) by Microsoft Corporation, drawn at 64x64",
    ),
    "noto": Style(
        "noto.webp",
        "Apache 2.0",
        "Noto Emoji by Google Inc, drawn at 64x64",
    ),
    "twemoji": Style(
        "twemoji.webp",
        "CC BY 4.0",
        "Twemoji by Twitter and contributors, drawn at 64x64",
    ),
    "openmoji": Style(
        "openmoji.webp",
        "CC BY-SA 4.0",
        "OpenMoji by HfG Schwaebisch Gmuend, drawn at 64x64",
    ),
    "openmoji_line": Style(
        "openmoji_line.png",
        "CC BY-SA 4.0",
        "OpenMoji (black) by HfG Schwaebisch Gmuend, drawn at 64x64",
    ),
}


class Emoji(CachedImages):
    """1,580 emoji, 3x64x64, without skin tones and flags of countries.

    What differs in gender, direction, colour or hour alone, or looks alike, is one family, and a
    family is in one split: 1,379 to train on, 201 to test. All styles have the same emoji in the
    same order.

    Args:
        style: Whose drawings: ``fluent``, ``fluent_line`` and ``noto`` are in the package, the
            others are looked for.
        size: Height and width; 32 are the means of 2x2 pixels.
        ground: What is behind them: ``white``, ``black``, ``grey`` or ``#rrggbb``. The line styles
            are on white.
        labels: ``group`` (9) or ``subgroup`` (95) of Unicode CLDR is the label; None for images
            without labels.
        root: Folder to look for the sheets of other styles in, or in its folder ``emoji``.

    Raises:
        ConfigError: There is no such style, size, ground or label.
    """

    name = "emoji"

    def __init__(
        self,
        style: Literal[
            "fluent", "fluent_line", "noto", "twemoji", "openmoji", "openmoji_line"
        ] = "fluent",
        size: Size = 64,
        ground: str | None = "white",
        labels: Literal["group", "subgroup"] | None = "group",
        root: str | None = None,
    ):
        check_size(size)
        if style not in STYLES:
            raise ConfigError(
                f"data.style={style}: must be one of {', '.join(STYLES)}{nearest(style, STYLES)}"
            )
        if labels not in (None, "group", "subgroup"):
            raise ConfigError(
                f"data.labels={labels}: must be null, group or subgroup"
                f"{nearest(labels, ('group', 'subgroup'))}"
            )
        self.ground = parse_ground(ground)
        if STYLES[style].line and ground != "white":
            raise ConfigError(
                f"data.ground={ground}: {style} is black on white and has no transparent parts, "
                "so it must be white"
            )
        self.style = style
        self.size = size
        self.labels = labels
        self.root = root

    @property
    def spec(self) -> ImageSpec:
        return ImageSpec(3, self.size, self.size, 256, len(self.class_names))

    @property
    def class_names(self) -> tuple[str, ...]:
        if self.labels == "group":
            return EMOJI_GROUPS
        if self.labels == "subgroup":
            return tuple(dict.fromkeys(str(entry["subgroup"]) for entry in self.entries))
        return ()

    @property
    def terms(self) -> Terms:
        style = STYLES[self.style]
        return Terms(style.licence, style.attribution, terms_of(self.manifest).notice)

    @property
    def manifest(self) -> Manifest:
        """The files that are known."""
        return MANIFESTS["emoji"]

    @property
    def file(self) -> DataFile:
        """The sheet of the style."""
        known = (*self.manifest.files, *self.manifest.others)
        return next(file for file in known if file.name == STYLES[self.style].file)

    @cached_property
    def entries(self) -> list[dict[str, Any]]:
        """Name, tags, group, subgroup, family and split of each emoji, in the order of the sheets.

        Raises:
            DataError: The file in the package is damaged.
        """
        content = read_bundled(self.manifest, "emoji.json", 1_000_000)
        listed: list[dict[str, Any]] = json.loads(content)
        return listed

    def names(self, split: SplitName) -> list[str]:
        """Names of the emoji of a split, in the order of its images."""
        return [str(self.entries[i]["name"]) for i in self._index(split)]

    def groups(self) -> Tensor:
        families = [self.entries[i]["family"] for i in self._index("train")]
        number = {family: k for k, family in enumerate(dict.fromkeys(families))}
        return torch.tensor([number[family] for family in families])

    def key(self) -> str:
        ground = "".join(f"{part:02x}" for part in self.ground)
        return f"{self.manifest.key}-{self.style}-{self.file.hash[:8]}-{ground}-{self.size}"

    def prepare(self, repair: bool = False) -> None:
        if repair and self.style in SHEETS:
            try:
                self._find()
            except DataError:
                self._draw()
        super().prepare(repair)

    def build(self, writer: Writer) -> None:
        sheet = self._sheet()
        pictures = compose(cut(sheet, len(self.entries)), self.ground)
        for split in SPLITS:
            index = self._index(split)
            shape = (len(index), 3, self.size, self.size)
            put_pictures(writer.array(f"{split}_x", shape, "uint8"), pictures, index)

    def pick(self, arrays: Mapping[str, npt.NDArray[Any]], split: SplitName) -> Split:
        x = torch.from_numpy(arrays[f"{split}_x"])
        if self.labels is None:
            return Split(x)
        number = {name: k for k, name in enumerate(self.class_names)}
        named = (self.entries[i][self.labels] for i in self._index(split))
        return Split(x, torch.tensor([number[name] for name in named]))

    def _sheet(self) -> npt.NDArray[np.uint8]:
        """The pixels of the style's sheet."""
        path = self._find()
        with expecting("a sheet of emoji", path), Image.open(path) as picture:
            return np.asarray(picture, np.uint8)

    def _find(self) -> Path:
        """The verified sheet of the style, in the package or wherever it is found."""
        if self.style not in SHEETS:
            folder = bundle("emoji")
            absent = f"{folder / self.file.name}: expected a file, found nothing; repair: {REPAIR}"
            return obtain_file(self.file, [folder], REPAIR, absent)
        places = folders(self.manifest, self.root)
        command = f"{repair_command('emoji', self.root)} data.style={self.style}"
        absent = (
            f"data.style={self.style}: {self.file.name} is in none of "
            f"{', '.join(map(str, places))}; {command} draws it from the npm package "
            f"{SHEETS[self.style].package} ({STYLES[self.style].licence}); "
            f"{', '.join(style for style in STYLES if style not in SHEETS)} come with genlab"
        )
        return obtain_file(self.file, places, command, absent)

    def _draw(self) -> None:
        """Fetches the maker's package and draws the sheet of the style."""
        places = folders(self.manifest, self.root)
        target = places[-1] if self.root is None else places[1]
        check_writable(target, f"data.root={self.root}" if self.root else f"{target}")
        source = SHEETS[self.style]
        contents = unpack(source.package, source.files, target)
        codes = [str(entry["code"]) for entry in self.entries]
        sheet = draw_sheet(source, contents, codes, STYLES[self.style].line)
        write_atomically(target / self.file.name, encode(sheet))
        self.file.check(target / self.file.name)

    def _index(self, split: SplitName) -> npt.NDArray[np.int64]:
        """Numbers of a split's emoji, in an order of no meaning: the first n are to be any n."""
        mine = [i for i, entry in enumerate(self.entries) if entry["split"] == split]
        names = {i: f"emoji/{self.entries[i]['name']}" for i in mine}
        rank = {i: hashlib.sha256(name.encode()).digest() for i, name in names.items()}
        return np.array(sorted(mine, key=rank.__getitem__), np.int64)

    def _digests(self) -> list[str]:
        digests = self.arrays().digests
        labels = [
            "" if (y := self.load(split).y) is None else array_digest(y.numpy()) for split in SPLITS
        ]
        return [*(digests[f"{split}_x"] for split in SPLITS), *labels]
