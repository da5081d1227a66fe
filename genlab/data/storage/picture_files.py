"""Pictures below a folder, by their suffixes, and the reasons why other files are left out."""

import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from genlab.errors import DataError

__all__ = ["FORMATS", "SUFFIXES", "find_pictures", "stamp"]

FORMATS = {
    "AVIF": (".avif",),
    "BMP": (".bmp",),
    "DIB": (".dib",),
    "GIF": (".gif",),
    "JPEG": (".jfif", ".jpe", ".jpeg", ".jpg", ".mpo"),
    "JPEG2000": (".j2c", ".j2k", ".jp2", ".jpc", ".jpf", ".jpx"),
    "PNG": (".apng", ".png"),
    "PPM": (".pbm", ".pgm", ".pnm", ".ppm"),
    "QOI": (".qoi",),
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
}
"""Pillow's formats that are read, whatever a file's suffix says, and their suffixes."""

SUFFIXES = frozenset(suffix for suffixes in FORMATS.values() for suffix in suffixes)

UNREAD = frozenset(
    f".{name}"
    for names in (
        ["arw", "cr2", "cr3", "dng", "heic", "heif", "jxl", "nef", "orf", "raw", "rw2"],
        [
            "dcm",
            "dds",
            "eps",
            "exr",
            "fits",
            "hdr",
            "icns",
            "ico",
            "pdf",
            "psd",
            "svg",
            "tga",
            "wmf",
        ],
        ["7z", "gz", "h5", "mat", "nii", "npy", "npz", "rar", "tar", "tfrecord", "zip"],
    )
    for name in names
)
"""Suffixes of pictures, arrays and archives that are not read: worth more than a count."""

HIDDEN = re.compile(r"\.|__|@eaDir$").match

AGAIN = 64
"""Times that one folder is read through different links."""


def find_pictures(root: Path) -> tuple[list[tuple[str, ...]], Counter[str]]:
    """Finds the pictures below a folder; links are followed, but none into a folder it lies in.

    A file or folder whose name begins with a dot or ``__`` is left out, as the datasets library
    does it: thumbnails, resource forks, notebooks' checkpoints.

    Args:
        root: The folder.

    Returns:
        The parts of each picture's path below the root, in the order of their paths, and how many
        files were left out by the reason.

    Raises:
        DataError: A folder cannot be read, or a link leads nowhere: what should be there is not.
    """
    skipped: Counter[str] = Counter()
    seen: Counter[str] = Counter()

    def walk(
        folder: str, parts: tuple[str, ...], above: tuple[str, ...]
    ) -> Iterator[tuple[str, ...]]:
        real = os.path.realpath(folder)
        seen[real] += 1
        if real in above or seen[real] > AGAIN:
            skipped["links in a circle"] += 1
            return
        try:
            with os.scandir(folder) as found:
                entries = list(found)
        except OSError as error:
            raise DataError(
                f"{folder}: expected a folder that can be read, found {error.strerror}; "
                "repair: make it readable, or remove it"
            ) from None
        for entry in entries:
            # Hidden, a folder, a picture, or something else
            if HIDDEN(entry.name):
                skipped["hidden (a name with . or __ in front)"] += 1
            elif os.path.isdir(entry.path):
                yield from walk(entry.path, (*parts, entry.name), (*above, real))
            elif (reason := why_not(entry)) is None:
                yield (*parts, entry.name)
            else:
                skipped[reason] += 1

    return sorted(walk(str(root), (), ())), skipped


def why_not(entry: "os.DirEntry[str]") -> str | None:
    """The reason why a file is no picture, None for a picture.

    Raises:
        DataError: It is a link to nothing where a picture or a folder should be.
    """
    suffix = os.path.splitext(entry.name)[1].lower()
    if os.path.exists(entry.path):
        if not os.path.isfile(entry.path):
            return "pipes, sockets and devices"
        if suffix in UNREAD:
            return f"{suffix} (make .png or .jpg of them)"
        return None if suffix in SUFFIXES else suffix or "without a suffix"
    if not os.path.islink(entry.path):
        return "gone while the folder was read"
    if suffix in SUFFIXES | UNREAD | {""}:
        raise DataError(
            f"{entry.path}: expected a picture or a folder, found a link to nothing "
            f"({os.readlink(entry.path)}); repair: replace or remove it"
        )
    return "links to nothing"


def stamp(path: Path) -> tuple[int, int, int]:
    """Size and times of a file: no program changes it and leaves its time of change as it was.

    Raises:
        DataError: It is gone, or cannot be looked at.
    """
    try:
        known = path.stat()
    except OSError as error:
        raise DataError(f"{path}: expected a file, found {error.strerror}") from None
    return known.st_size, known.st_mtime_ns, known.st_ctime_ns
