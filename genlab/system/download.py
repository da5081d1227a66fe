"""Verified downloads: from the first mirror that has a file, through pooch."""

import importlib
import io
import logging
import shutil
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from genlab.errors import DataError
from genlab.system.paths import staging_folder

__all__ = ["download_file"]

log = logging.getLogger("genlab")

TIMEOUT = 10.0, 30.0
"""Seconds without a connection, and without a byte, after which a mirror is given up."""

BLOCK = 1 << 20

DRIVE = "gdrive:"
"""Prefix of what lies on Google Drive, which hands out large files to the gdown package only."""


def download_file(
    urls: Sequence[str], target: Path, known_hash: str, most: int | None = None
) -> Path:
    """A file from the first mirror that has it; it gets its name once its hash is the known one.

    Args:
        urls: Where it can be had, tried in this order; ``gdrive:ID`` for Google Drive.
        target: What it is to be; its folder is made.
        known_hash: ``sha256:HEX`` or ``md5:HEX``.
        most: Bytes beyond which a mirror is given up, None for no bound.

    Raises:
        DataError: No mirror could be reached, or what they sent is not the file.
        OSError: The folder cannot be written.
    """
    import pooch

    pooch.get_logger().setLevel(logging.WARNING)  # the line below says the same
    part = staging_folder(target.parent)
    failures = []
    try:
        for url in urls:
            log.info("downloading %s to %s", url, target)
            receive = from_drive if url.startswith(DRIVE) else partial(from_web, most=most)
            try:
                got = pooch.retrieve(url, known_hash, target.name, part, downloader=receive)
                return Path(got).replace(target)
            # Errors of requests are OSErrors; another hash is a ValueError of pooch.
            except (OSError, ValueError, DataError) as error:
                failures.append(f"{url}: {error}")
    finally:
        shutil.rmtree(part, ignore_errors=True)
    tried = "; ".join(failures) or "nobody offers it"
    raise DataError(f"{target.name} could not be downloaded: {tried}")


class Bounded(io.FileIO):
    """A new file that takes no more bytes than it may have."""

    def __init__(self, path: str, most: int | None):
        super().__init__(path, "w")
        self.most = most

    def write(self, block: Any, /) -> int:
        if self.most is not None and self.tell() + len(block) > self.most:
            raise DataError(f"expected at most {self.most:,} bytes, found more")
        return super().write(block)


def from_web(url: str, target: str, _: object, *, most: int | None) -> None:
    """Streams a URL into a file, with a progress bar where there is a terminal."""
    import pooch

    receive = pooch.HTTPDownloader(sys.stderr.isatty(), BLOCK, timeout=TIMEOUT)
    Path(target).unlink()  # pooch made it readable for its owner alone
    with Bounded(target, most) as file:
        receive(url, file, None)


def from_drive(url: str, target: str, _: object) -> None:
    """Lets gdown fetch a file of Google Drive."""
    try:
        gdown = importlib.import_module("gdown")
    except ImportError:
        raise DataError("Google Drive needs the gdown package: pip install gdown") from None
    identity = url.removeprefix(DRIVE)
    if gdown.download(id=identity, output=target, quiet=not sys.stderr.isatty()) is None:
        raise DataError("expected the file, found a refusal of Google Drive")
