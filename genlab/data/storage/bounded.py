"""Reads no more than can be right: a small archive can be made to unpack to terabytes."""

from typing import IO, Protocol

from genlab.errors import DataError

__all__ = ["Readable", "read_bounded"]


class Readable(Protocol):
    """What has a ``read``."""

    def read(self, n: int = -1, /) -> bytes:
        """Up to n bytes."""


def read_bounded(file: Readable | IO[bytes], most: int, name: str) -> bytes:
    """All that a file holds, if it is not more than it may be.

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
