"""Pictures of any kind and size made alike, and what is done to each for it."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from genlab.data.storage.sheet_pixels import parse_ground
from genlab.errors import ConfigError

__all__ = ["Fitting", "Way", "is_deep"]

Way = Literal["crop", "pad"]
"""What makes a picture a square: its centre, or ground beside it."""

Array = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Fitting:
    """How pictures are made alike: turned upright, made a square, resized, on a ground.

    Args:
        size: Height and width wanted.
        channels: 1 for grey, 3 for colour.
        bits: Used bits of grey pictures with 16; None takes those that the largest value needs.
        way: What makes a square of a picture that is none.
        ground: What is behind transparent parts, and beside what is padded: ``white``, ``black``,
            ``grey`` or ``#rrggbb``.

    Raises:
        ConfigError: There are no pictures of so many channels or bits, or there is no such ground.
    """

    size: int
    channels: int
    bits: int | None = None
    way: Way = "crop"
    ground: str = "white"

    def __post_init__(self) -> None:
        if self.channels not in (1, 3):
            raise ConfigError(f"data.channels={self.channels}: must be 1 (grey) or 3 (colour)")
        if self.bits is not None and not 1 <= self.bits <= 16:
            raise ConfigError(f"data.bits={self.bits}: must be 1 to 16")
        if self.way not in ("crop", "pad"):
            raise ConfigError(f"data.fit={self.way}: must be crop or pad")
        self.colour  # noqa: B018  refuses what is none

    @cached_property
    def colour(self) -> tuple[int, int, int]:
        """Red, green and blue of the ground."""
        return parse_ground(self.ground)

    def __call__(self, picture: Image.Image, bits: int = 16) -> Array:
        """A picture as an array; colour profiles are not applied.

        Args:
            picture: Of any mode and size.
            bits: Used bits of grey pictures with 16, which are scaled to 8.

        Returns:
            uint8 of shape ``(channels, size, size)``.

        Raises:
            ValueError: The range of its values is not known.
        """
        picture = ImageOps.exif_transpose(picture)
        # Values of 8 bits
        if is_deep(picture):
            top = 2**bits - 1
            values = np.asarray(picture, np.float64)
            if values.min() < 0 or values.max() > top:
                raise ValueError(
                    f"values from {values.min():.0f} to {values.max():.0f} in a picture of {bits} "
                    "bits"
                )
            picture = Image.fromarray(np.rint(values / (top / 255)).astype(np.uint8))
        elif picture.mode == "F":
            raise ValueError("pixels of 32 bits (mode F) have no known range: save 8 or 16 bits")
        # Nothing transparent, grey or colour
        if is_transparent(picture):
            picture = picture.convert("RGBA")
            ground = Image.new("RGBA", picture.size, (*self.colour, 255))
            picture = Image.alpha_composite(ground, picture)
        if picture.mode == "LAB":  # which Pillow makes no grey of
            picture = picture.convert("RGB")
        mode = "L" if self.channels == 1 else "RGB"
        picture = picture.convert(mode)
        # A square of the size
        shape = (self.size, self.size)
        if picture.size != shape and self.way == "crop":
            picture = ImageOps.fit(picture, shape, Image.Resampling.LANCZOS)
        elif picture.size != shape:
            beside = Image.new("RGB", (1, 1), self.colour).convert(mode).getpixel((0, 0))
            picture = ImageOps.pad(picture, shape, Image.Resampling.LANCZOS, color=beside)  # type: ignore[arg-type]
        array = np.asarray(picture, np.uint8)
        return array[None] if self.channels == 1 else array.transpose(2, 0, 1)

    def treatments(self, picture: Image.Image) -> list[str]:
        """Changes that are made to a picture, from its header; being made smaller is none."""
        grey = picture.mode in ("1", "L", "LA") or is_deep(picture)
        # Pillow looks for what a PNG's header does not have at its end, and decodes it to get there
        exif = picture.getexif() if picture.format != "PNG" or "exif" in picture.info else {}
        layout = getattr(picture, "tile", None)  # of a pixel's bytes
        square = picture.width == picture.height
        known = {
            "first frame of several": bool(getattr(picture, "is_animated", False))
            and picture.format != "MPO",  # a photograph and its preview
            "turned upright (EXIF)": exif.get(0x0112, 1) not in (0, 1),
            "grey of 16 bits to 8": is_deep(picture),
            "colour of 16 bits to its upper 8": picture.mode in ("RGB", "RGBA")
            and ";16" in str(layout),
            f"laid on {self.ground} (transparent)": is_transparent(picture),
            f"{picture.mode} to RGB": picture.mode in ("CMYK", "HSV", "LAB", "P", "PA", "YCbCr"),
            "black and white to grey": picture.mode == "1",
            "colour to grey": self.channels == 1 and not grey,
            "grey to colour": self.channels == 3 and grey,
            "cropped to a square": self.way == "crop" and not square,
            f"padded with {self.ground} to a square": self.way == "pad" and not square,
            "enlarged": self.reach(picture.size) < self.size,
        }
        return [words for words, true in known.items() if true]

    def reach(self, size: tuple[int, int]) -> int:
        """The side that becomes ``size`` pixels long: the shorter one, the longer where padded."""
        return min(size) if self.way == "crop" else max(size)


def is_deep(picture: Image.Image) -> bool:
    """True for grey of 16 bits, which Pillow gives in 32 where the file's format has both."""
    return picture.mode.startswith("I")


def is_transparent(picture: Image.Image) -> bool:
    """True where a picture has transparent parts, or may have some."""
    return picture.mode in ("LA", "PA", "RGBA", "RGBa") or "transparency" in picture.info
