"""Reading of files that may be damaged or hostile: bounded, and with errors of one line."""

import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedIOBase
from pathlib import Path
from typing import IO

from genlab.errors import DataError

__all__ = ["expecting", "read_bounded", "repairable"]

READING = (
    OSError,
    EOFError,
    KeyError,
    ValueError,
    lzma.LZMAError,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
)
"""Errors of the standard library's readers on damaged files."""


@contextmanager
def expecting(
    what: str, path: str | Path, errors: tuple[type[Exception], ...] = READING
) -> Iterator[None]:
    """Makes a `DataError` of a reader's errors: what was expected of a file, and what was found.

    Example:
        >>> with expecting("an archive", "x.zip"):
        ...     {}["member"]
        Traceback (most recent call last):
        genlab.errors.DataError: x.zip: expected an archive, found KeyError ('member')
    """
    try:
        yield
    except errors as error:
        found = f"{type(error).__name__} ({error})"
        raise DataError(f"{path}: expected {what}, found {found}") from error


@contextmanager
def repairable(command: str) -> Iterator[None]:
    """Ends the message of a `DataError` with the command that repairs it."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{error}; repair: {command}") from error


def read_bounded(file: IO[bytes] | BufferedIOBase, most: int, name: str) -> bytes:
    """All that a file holds, unless that is too much: archives can unpack to terabytes.

    Args:
        file: Opened for reading; a member of an archive or a stream that decompresses.
        most: Bytes.
        name: What to call it in a message.

    Raises:
        DataError: It holds more.

    Example:
        >>> import io
        >>> read_bounded(io.BytesIO(b"abc"), 3, "x")
        b'abc'
    """
    content = file.read(most + 1)
    if len(content) > most:
        raise DataError(f"{name}: expected at most {most:,} bytes unpacked, found more")
    return content
