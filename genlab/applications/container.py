"""Container of compressed images, ``.glz`` version 1.

``GLZ1``; length of the header (u32) and the header, JSON with sorted keys; then for each batch the
length of its content (u32), the CRC-32 of its pixels (u32), its kind (u8) and the content; at the
end the SHA-256 of all pixels. Little-endian throughout. Lengths are held against the file before
anything is allocated: a hostile header costs nothing.
"""

import hashlib
import json
import struct
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, NamedTuple

from genlab.errors import DataError

__all__ = ["CODED", "RAW", "Header", "Part", "deflate", "inflate", "pack", "sha256", "unpack"]

MAGIC = b"GLZ1"
LONGEST_HEADER = 65_536
MOST_PIXELS = 2**31
CODED = 0
"""Kind of a batch that the model coded."""

RAW = 1
"""Kind of a batch of deflated pixels."""


@dataclass(frozen=True)
class Header:
    """What a decoder has to know, and what it says when it fails.

    Args:
        n: Images.
        batch: Images that were coded at once; the probabilities depend on it.
        shape: ``(C, H, W)``.
        levels: Values of a sub-pixel.
        codec: ``fast`` or ``portable``.
        weights: SHA-256 of the model's weights.
        genlab: Version.
        torch: Version.
        processor: Kernels that torch took.
        threads: That torch had.
    """

    n: int
    batch: int
    shape: tuple[int, int, int]
    levels: int
    codec: str
    weights: str
    genlab: str
    torch: str
    processor: str
    threads: int


class Part(NamedTuple):
    """A batch.

    Args:
        kind: `CODED` or `RAW`.
        crc: CRC-32 of its pixels.
        content: The bytes.
    """

    kind: int
    crc: int
    content: bytes


def pack(header: Header, parts: Sequence[Part], digest: bytes) -> bytes:
    """The file.

    Args:
        header: The header.
        parts: The batches.
        digest: SHA-256 of all pixels.
    """
    text = json.dumps(asdict(header), sort_keys=True, separators=(",", ":")).encode()
    found = [MAGIC, struct.pack("<I", len(text)), text]
    for part in parts:
        found += [struct.pack("<IIB", len(part.content), part.crc, part.kind), part.content]
    return b"".join([*found, digest])


def unpack(content: bytes, name: str) -> tuple[Header, list[Part], bytes]:
    """Header, batches and SHA-256 of a file.

    Args:
        content: The file's bytes.
        name: Of the file, for messages.

    Raises:
        DataError: It is no such file, is cut off, or its header makes no sense.
    """
    # The header
    if content[:4] != MAGIC:
        raise DataError(f"{name}: is no .glz file of genlab (version 1)")
    if len(content) < 8:
        raise DataError(f"{name}: is cut off")
    size = struct.unpack_from("<I", content, 4)[0]
    if size > LONGEST_HEADER or 8 + size + 32 > len(content):
        raise DataError(f"{name}: is cut off, or its header is damaged")
    header = header_of(content[8 : 8 + size], name)
    # The batches
    place, end, parts = 8 + size, len(content) - 32, []
    for _ in range(-(-header.n // header.batch)):
        if place + 9 > end:
            raise DataError(f"{name}: is cut off")
        length, crc, kind = struct.unpack_from("<IIB", content, place)
        place += 9
        if kind not in (CODED, RAW) or place + length > end:
            raise DataError(f"{name}: is cut off or damaged")
        parts.append(Part(kind, crc, content[place : place + length]))
        place += length
    if place != end:
        raise DataError(f"{name}: {end - place} bytes too many")
    return header, parts, content[end:]


def header_of(text: bytes, name: str) -> Header:
    """A header whose values are all in their ranges."""
    try:
        found: dict[str, Any] = json.loads(text)
        values = {field.name: found[field.name] for field in fields(Header)}
        header = Header(**values | {"shape": tuple(int(size) for size in found["shape"])})
        c, h, w = header.shape
        whole = [header.n, header.batch, header.levels, c, h, w]
        right = all(isinstance(value, int) and value > 0 for value in whole)
        right &= header.n * c * h * w <= MOST_PIXELS and header.levels <= 256
        right &= header.codec in ("fast", "portable")
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{name}: its header makes no sense ({error})") from None
    if not right:
        raise DataError(f"{name}: its header makes no sense: {values}")
    return header


def deflate(pixels: bytes) -> bytes:
    """Pixels as a `RAW` batch has them."""
    return zlib.compress(pixels, 9)


def inflate(content: bytes, size: int, name: str) -> bytes:
    """The pixels of a `RAW` batch, which are of a known size.

    Raises:
        DataError: They are not.
    """
    try:
        engine = zlib.decompressobj()
        pixels = engine.decompress(content, size + 1)
    except zlib.error as error:
        raise DataError(f"{name}: is damaged ({error})") from None
    if len(pixels) != size:
        raise DataError(f"{name}: is damaged: a batch has {len(pixels)} bytes, expected {size}")
    return pixels


def sha256(pixels: bytes) -> bytes:
    """SHA-256 of all pixels."""
    return hashlib.sha256(pixels).digest()
