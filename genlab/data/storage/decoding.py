"""Pictures of any kind and size as arrays of one shape."""

import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from genlab.data.storage.picture_files import FORMATS
from genlab.errors import ConfigError, DataError

__all__ = ["Decoder", "bits_of", "fill", "fit", "is_deep", "open_picture", "treatments"]

NAMED = 5
"""How many unreadable pictures a message names."""

DEPTHS = (8, 10, 12, 14, 16)
"""Bits that instruments deliver in files of 16."""

Array = npt.NDArray[np.uint8]


def fit(picture: Image.Image, size: int, channels: int, bits: int = 16) -> Array:
    """A picture as an array: turned upright, centre-cropped to a square and resized.

    Transparent parts become white; grey of 16 bits is scaled to 8 bits. Colour profiles are not
    applied.

    Args:
        picture: Of any mode and size.
        size: Height and width wanted.
        channels: 1 for grey, 3 for colour.
        bits: Used bits of grey pictures with 16.

    Returns:
        uint8 of shape ``(channels, size, size)``.

    Raises:
        ValueError: The range of its values is not known.
    """
    picture = ImageOps.exif_transpose(picture)
    if is_deep(picture):
        top = 2**bits - 1
        values = np.asarray(picture, np.float64)
        if values.min() < 0 or values.max() > top:
            raise ValueError(
                f"values from {values.min():.0f} to {values.max():.0f} in a picture of {bits} bits"
            )
        picture = Image.fromarray(np.rint(values / (top / 255)).astype(np.uint8))
    elif picture.mode == "F":
        raise ValueError("pixels of 32 bits (mode F) have no known range: save 8 or 16 bits")
    if is_transparent(picture):
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture)
    if picture.mode == "LAB":  # which Pillow makes no grey of
        picture = picture.convert("RGB")
    picture = picture.convert("L" if channels == 1 else "RGB")
    if picture.size != (size, size):
        picture = ImageOps.fit(picture, (size, size), Image.Resampling.LANCZOS)
    array = np.asarray(picture, np.uint8)
    return array[None] if channels == 1 else array.transpose(2, 0, 1)


def is_deep(picture: Image.Image) -> bool:
    """True for grey of 16 bits, which Pillow gives in 32 where the file's format has both."""
    return picture.mode.startswith("I")


def is_transparent(picture: Image.Image) -> bool:
    """True where a picture has transparent parts, or may have some."""
    return picture.mode in ("LA", "PA", "RGBA", "RGBa") or "transparency" in picture.info


def bits_of(top: int) -> int:
    """The fewest bits of an instrument that hold a value.

    Example:
        >>> bits_of(4000), bits_of(65535)
        (12, 16)
    """
    return next((bits for bits in DEPTHS if top < 2**bits), DEPTHS[-1])


def treatments(picture: Image.Image, size: int, channels: int) -> list[str]:
    """Changes that `fit` makes to a picture, from its header."""
    grey = picture.mode in ("1", "L", "LA") or is_deep(picture)
    # Pillow looks for what a PNG's header does not have at its end, and decodes it to get there
    exif = picture.getexif() if picture.format != "PNG" or "exif" in picture.info else {}
    layout = getattr(picture, "tile", None)  # of a pixel's bytes
    known = {
        "first frame of several": bool(getattr(picture, "is_animated", False))
        and picture.format != "MPO",  # a photograph and its preview
        "turned upright (EXIF)": exif.get(0x0112, 1) not in (0, 1),
        "grey of 16 bits to 8": is_deep(picture),
        "colour of 16 bits to its upper 8": picture.mode in ("RGB", "RGBA")
        and ";16" in str(layout),
        "laid on white (transparent)": is_transparent(picture),
        f"{picture.mode} to RGB": picture.mode in ("CMYK", "HSV", "LAB", "P", "PA", "YCbCr"),
        "black and white to grey": picture.mode == "1",
        "colour to grey": channels == 1 and not grey,
        "grey to colour": channels == 3 and grey,
        "cropped to a square": picture.width != picture.height,
        "enlarged": min(picture.size) < size,
    }
    return [words for words, true in known.items() if true]


def open_picture(source: str) -> Image.Image:
    """Opens a picture of a format that is read, whatever its suffix says."""
    Image.init()
    return Image.open(source, formats=[name for name in FORMATS if name in Image.OPEN])


class Decoder:
    """Decodes pictures into arrays, and counts what it did to them.

    Args:
        size: Height and width wanted.
        channels: 1 for grey, 3 for colour.
        bits: Used bits of grey pictures with 16; None takes those that the largest value needs.

    Raises:
        ConfigError: There are no pictures of so many channels or bits.
    """

    def __init__(self, size: int, channels: int, bits: int | None):
        if channels not in (1, 3):
            raise ConfigError(f"data.channels={channels}: must be 1 (grey) or 3 (colour)")
        if bits is not None and not 1 <= bits <= 16:
            raise ConfigError(f"data.bits={bits}: must be 1 to 16")
        self.size = size
        self.channels = channels
        self.bits = bits
        self.treated: list[list[str]] = []
        self.deep: list[tuple[Array, str, Callable[[str], Image.Image], int]] = []

    def fill(
        self, out: Array, names: Sequence[str], opener: Callable[[str], Image.Image] = open_picture
    ) -> None:
        """Fills an array; see `fill`.

        Args:
            out: ``(N, C, H, W)``, possibly a memory map.
            names: What to call each of the N pictures; no two alike.
            opener: Opens one.
        """
        rows = {name: i for i, name in enumerate(names)}

        def read(name: str) -> Array:
            with opener(name) as picture:
                self.treated.append(treatments(picture, self.size, self.channels))
                if is_deep(picture):
                    place = out[rows[name]]
                    self.deep.append((place, name, opener, int(np.asarray(picture).max())))
                return fit(picture, self.size, self.channels, self.bits or 16)

        fill(out, names, read)

    def finish(self) -> dict[str, int]:
        """Scales pictures of 16 bits to the bits that the largest value of them all needs.

        Returns:
            How many pictures were treated in each way.
        """
        bits = self.bits or bits_of(max((top for *_, top in self.deep), default=0))
        if self.bits is None and bits < 16:
            for place, name, opener, _ in self.deep:
                with opener(name) as picture:
                    place[...] = fit(picture, self.size, self.channels, bits)
        counts = dict(
            sorted(Counter(words for treated in self.treated for words in treated).items())
        )
        if (n := counts.pop("grey of 16 bits to 8", 0)) and bits < 16:
            known = "" if self.bits else f": the largest value is {max(t for *_, t in self.deep)}"
            counts[f"read as grey of {bits} bits in 16{known}"] = n
        elif n:
            counts["grey of 16 bits to 8"] = n
        return counts


def fill(
    out: Array,
    sources: Sequence[str],
    read: Callable[[str], Array],
) -> None:
    """Fills an array with pictures, several at a time.

    Args:
        out: ``(N, C, H, W)``, possibly a memory map.
        sources: What to call each of the N pictures.
        read: Gives the array of one.

    Raises:
        DataError: Some cannot be read; the first few are named.
    """
    bad: list[str] = []

    def put(index: int) -> None:
        try:
            out[index] = read(sources[index])
        # Pillow's decoders raise whatever they like on damaged files.
        except Exception as error:
            bad.append(f"{sources[index]} ({type(error).__name__}: {error})")

    with warnings.catch_warnings(), ThreadPoolExecutor(min(8, cpu_count() or 1)) as pool:
        warnings.filterwarnings("ignore", module="PIL")  # of metadata, and of large photographs
        for _ in pool.map(put, range(len(sources))):
            pass
    if bad:
        more = f" and {len(bad) - NAMED} more" if len(bad) > NAMED else ""
        raise DataError(
            f"expected {len(sources)} pictures, found {len(bad)} that cannot be read: "
            f"{'; '.join(sorted(bad)[:NAMED])}{more}"
        )
