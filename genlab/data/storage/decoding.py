"""Decoding of many pictures into one array, several at a time."""

import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count

import numpy as np
import numpy.typing as npt
from PIL import Image

from genlab.data.storage.fitting import Fitting, is_deep
from genlab.data.storage.picture_files import FORMATS
from genlab.errors import DataError

__all__ = ["Decoder", "bits_of", "fill", "open_picture"]

NAMED = 5
"""How many unreadable pictures a message names."""

DEPTHS = (8, 10, 12, 14, 16)
"""Bits that instruments deliver in files of 16."""

Array = npt.NDArray[np.uint8]


def bits_of(top: int) -> int:
    """The fewest bits of an instrument that hold a value.

    Example:
        >>> bits_of(4000), bits_of(65535)
        (12, 16)
    """
    return next((bits for bits in DEPTHS if top < 2**bits), DEPTHS[-1])


def open_picture(source: str) -> Image.Image:
    """Opens a picture of a format that is read, whatever its suffix says."""
    Image.init()
    return Image.open(source, formats=[name for name in FORMATS if name in Image.OPEN])


class Decoder:
    """Decodes pictures into arrays, and counts what it did to them.

    Args:
        fitting: How they are made alike.
        strict: Whether what would be changed by more than being made smaller is refused.
    """

    def __init__(self, fitting: Fitting, strict: bool = False):
        self.fitting = fitting
        self.strict = strict
        self.treated: list[list[str]] = []
        self.refused: list[str] = []
        self.deep: list[tuple[Array, str, Callable[[str], Image.Image], int]] = []

    def fill(
        self, out: Array, names: Sequence[str], opener: Callable[[str], Image.Image] = open_picture
    ) -> None:
        """Fills an array; see `fill`.

        Args:
            out: ``(N, C, H, W)``, possibly a memory map.
            names: What to call each of the N pictures; no two alike.
            opener: Opens one.

        Raises:
            DataError: Some cannot be read; the first few are named.
        """
        rows = {name: i for i, name in enumerate(names)}

        def read(name: str) -> Array:
            with opener(name) as picture:
                treated = self.fitting.treatments(picture)
                if treated and self.strict:
                    self.refused.append(f"{name} ({', '.join(treated)})")
                self.treated.append(treated)
                if is_deep(picture):
                    place = out[rows[name]]
                    self.deep.append((place, name, opener, int(np.asarray(picture).max())))
                return self.fitting(picture, self.fitting.bits or 16)

        fill(out, names, read)

    def finish(self) -> dict[str, int]:
        """Scales pictures of 16 bits to the bits that the largest value of them all needs.

        Returns:
            How many pictures were treated in each way.

        Raises:
            DataError: Some were to be changed, which `strict` refuses; the first few are named.
        """
        if self.refused:
            raise DataError(
                f"expected pictures that need no change (data.strict=true), found "
                f"{len(self.refused)}: {few(self.refused)}"
            )
        # The bits of those that have 16
        bits = self.fitting.bits or bits_of(max((top for *_, top in self.deep), default=0))
        if self.fitting.bits is None and bits < 16:
            for place, name, opener, _ in self.deep:
                with opener(name) as picture:
                    place[...] = self.fitting(picture, bits)
        # What was done to how many
        counts = dict(
            sorted(Counter(words for treated in self.treated for words in treated).items())
        )
        if (n := counts.pop("grey of 16 bits to 8", 0)) and bits < 16:
            top = max(top for *_, top in self.deep)
            known = "" if self.fitting.bits else f": the largest value is {top}"
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
        raise DataError(
            f"expected {len(sources)} pictures, found {len(bad)} that cannot be read: {few(bad)}"
        )


def few(lines: Sequence[str]) -> str:
    """The first few, and how many more.

    Example:
        >>> few(["b", "a"]), few(list("gfedcba"))
        ('a; b', 'a; b; c; d; e and 2 more')
    """
    more = f" and {len(lines) - NAMED} more" if len(lines) > NAMED else ""
    return f"{'; '.join(sorted(lines)[:NAMED])}{more}"
