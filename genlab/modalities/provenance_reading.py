"""Provenance read back: what a file says of itself, and whether it is still what was written.

All of it may be a stranger's: nothing is unpickled, no entity of XML is expanded, and what would
take very much memory is refused.
"""

import json
import struct
import warnings
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from xml.etree import ElementTree

import numpy as np
from PIL import Image, UnidentifiedImageError

from genlab.errors import DataError
from genlab.modalities.gif_xmp import find_xmp
from genlab.modalities.provenance import (
    CREATOR,
    GENLAB,
    IPTC,
    SIDECAR,
    array_digest,
    file_digest,
    pixel_digest,
    record_digest,
)

__all__ = ["ARRAYS", "PICTURES", "Finding", "Record", "State", "examine", "find_record"]

PICTURES = {".png": "PNG", ".gif": "GIF", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
"""Formats that are decoded, by the suffixes of their files."""

ARRAYS = ".npz"

State = Literal["intact", "altered", "unknown", "foreign", "none"]
"""``unknown``: a note of genlab's without a digest, as before there were any; ``foreign``: another
tool's statement of where it comes from."""

MOST_XMP = 1 << 20
MOST_PIXELS = 1 << 31
"""Of all frames of a film."""
MOST_ARRAY = 1 << 31
"""Bytes of an array that is unpacked."""

BROKEN = (OSError, ValueError, SyntaxError, EOFError, IndexError, struct.error, zlib.error)
"""What Pillow and NumPy raise at a damaged file."""


@dataclass(frozen=True)
class Record:
    """What a file, or the JSON beside it, says of where it comes from.

    Args:
        source: IPTC's term, or another tool's.
        note: genlab's note; empty where another tool wrote the record.
        pixels: Digest of what it is about; empty where there is none.
        size: Width and height, where it says.
        edited: True if the record is not as genlab wrote it.
        creator: The program that it names.
    """

    source: str
    note: dict[str, Any] = field(default_factory=dict)
    pixels: str = ""
    size: str = ""
    edited: bool = False
    creator: str = ""


@dataclass(frozen=True)
class Finding:
    """What was found out about a file.

    Args:
        path: The file.
        state: See `State`.
        record: What it says of itself.
        changed: What is not as it was written, in words.
    """

    path: Path
    state: State
    record: Record | None = None
    changed: tuple[str, ...] = ()


def examine(path: Path) -> Finding:
    """Compares a file with its own record, or with the one that lies beside it.

    Raises:
        DataError: It does not exist, or is no picture and no array, and has no record beside it.
    """
    record = find_record(path)
    if record is not None:
        return judged(path, record, *measured(path))
    beside = path.with_name(path.name + SIDECAR)
    if beside.is_file():
        return judged(path, sidecar(beside), file_digest(path), "")
    if path.suffix.lower() not in (*PICTURES, ARRAYS):
        raise DataError(f"{path}: neither a picture nor an array, and no {beside.name} beside it")
    return Finding(path, "none")


def judged(path: Path, record: Record, pixels: str, size: str) -> Finding:
    """A record against what it is about.

    Args:
        path: The file.
        record: Its record.
        pixels: Digest of what there is.
        size: Width and height of it.
    """
    if not record.note:
        return Finding(path, "foreign", record)
    changed = []
    if record.size and record.size != size:
        changed.append(f"size {record.size} became {size}")
    elif record.pixels and record.pixels != pixels:
        changed.append("pixels" if path.suffix.lower() in PICTURES else "content")
    if record.edited:
        changed.append("the record itself")
    state: State = "altered" if changed else "intact" if record.pixels else "unknown"
    return Finding(path, state, record, tuple(changed))


def find_record(path: Path) -> Record | None:
    """The record within a file; None where there is none, or no room for one.

    Raises:
        DataError: It does not exist, or is not what its suffix says.
    """
    if not path.is_file():
        found = "a folder" if path.is_dir() else "nothing"
        raise DataError(f"{path}: expected a file, found {found}")
    suffix = path.suffix.lower()
    if suffix == ARRAYS:
        return array_record(path)
    if suffix not in PICTURES:
        return None
    with opened(path) as image:
        packet: bytes | str | None = image.info.get("xmp")
        text = image.info.get("genlab") or image.info.get("comment")
    if suffix == ".gif":
        packet = find_xmp(path.read_bytes())
    record = None if packet is None else xmp_record(packet)
    if record is not None and record.note:
        return record
    note = parsed(text)
    if "run" in note:  # a note without XMP: as genlab wrote it before, or with XMP taken away
        return Record("", note)
    return record


class opened:
    """A picture, opened; what is wrong with it is a `DataError` that names it."""

    def __init__(self, path: Path):
        self.path = path

    def __enter__(self) -> Image.Image:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", Image.DecompressionBombWarning)
                self.image = Image.open(self.path, formats=sorted(set(PICTURES.values())))
                frames = getattr(self.image, "n_frames", 1)
        except UnidentifiedImageError:
            raise DataError(f"{self.path}: is no picture") from None
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            raise DataError(f"{self.path}: a picture of too many pixels to look at") from None
        except BROKEN as error:
            raise DataError(f"{self.path}: is a damaged picture ({error})") from None
        if self.image.width * self.image.height * frames > MOST_PIXELS:
            self.image.close()
            raise DataError(f"{self.path}: a picture of too many pixels to look at")
        return self.image

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.image.close()
        if isinstance(error, BROKEN):
            raise DataError(f"{self.path}: is a damaged picture ({error})") from None


def measured(path: Path) -> tuple[str, str]:
    """Digest and size of what a record within a file is about."""
    if path.suffix.lower() != ARRAYS:
        with opened(path) as image:
            return pixel_digest(image), f"{image.width}x{image.height}"
    try:
        with archive(path) as arrays:
            return (array_digest(arrays["images"]) if "images" in arrays else ""), ""
    except (zipfile.BadZipFile, *BROKEN) as error:
        raise DataError(f"{path}: holds no arrays ({error})") from None


def archive(path: Path) -> Any:
    """The arrays of a file, none of them unpacked yet; objects are refused.

    Raises:
        DataError: It holds none, or too much.
    """
    try:
        with zipfile.ZipFile(path) as packed:
            if sum(entry.file_size for entry in packed.infolist()) > MOST_ARRAY:
                raise DataError(f"{path}: arrays of too many bytes to look at")
        return np.load(path, allow_pickle=False)
    except (zipfile.BadZipFile, *BROKEN) as error:
        raise DataError(f"{path}: holds no arrays ({error})") from None


def array_record(path: Path) -> Record | None:
    """The record within an array's file."""
    try:
        with archive(path) as arrays:
            if "provenance" not in arrays:
                return None
            note = parsed(str(arrays["provenance"])[:MOST_XMP])
    except (zipfile.BadZipFile, *BROKEN) as error:
        raise DataError(f"{path}: holds no arrays ({error})") from None
    if "run" not in note:
        return None
    source, pixels = (str(note.pop(key, "")) for key in ("digitalSourceType", "sha256"))
    return Record(source, note, pixels)


def sidecar(path: Path) -> Record:
    """The record of a file in the JSON beside it.

    Raises:
        DataError: It is none.
    """
    try:
        content = parsed(path.read_bytes()[:MOST_XMP])
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    note = content.get("note")
    if not isinstance(note, dict) or not note:
        raise DataError(f"{path}: is no record of genlab's")
    return Record(str(content.get("digitalSourceType")), note, str(content.get("sha256")))


def xmp_record(packet: bytes | str) -> Record | None:
    """The record in an XMP packet; None where it says nothing of where a picture comes from."""
    text = packet if isinstance(packet, str) else packet.decode("utf-8", "replace")
    if len(text) > MOST_XMP or "<!" in text:  # XMP has no document type, so no entities either
        return None
    try:
        root = ElementTree.fromstring(text.strip("\x00 \r\n\ufeff"))
    except (ElementTree.ParseError, ValueError):
        return None
    said: dict[str, str] = {}
    for element in root.iter():
        for name, value in (*element.attrib.items(), (element.tag, element.text or "")):
            said.setdefault(name, value.strip())
    source = said.get(f"{{{IPTC}}}DigitalSourceType", "")
    creator = said.get(f"{{{CREATOR}}}CreatorTool", "")
    words = [said.get(f"{{{GENLAB}}}{name}", "") for name in ("note", "size", "pixels", "record")]
    raw, size, pixels, record = words
    note = parsed(raw)
    if note:
        edited = record != record_digest(source, raw, size, pixels)
        return Record(source, note, pixels, size, edited, creator)
    return Record(source, creator=creator) if source else None


def parsed(text: Any) -> dict[str, Any]:
    """A JSON object, empty where it is none."""
    if not isinstance(text, str | bytes):
        return {}
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
