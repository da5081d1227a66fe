"""Downloads a file under a temporary name, verifies it, and only then gives it its own name."""

import http.client
import importlib
import logging
import sys
import urllib.request
from pathlib import Path

from genlab.data.storage.manifest import BLOCK, DataFile
from genlab.errors import DataError

__all__ = ["download"]

log = logging.getLogger("genlab")

TIMEOUT = 30.0
"""Seconds without a byte after which a mirror is given up."""

DRIVE = "gdrive:"
"""Prefix of what lies on Google Drive, which hands out large files to the gdown package only."""


def download(file: DataFile, folder: Path, repair: str) -> Path:
    """A verified copy of a file in a folder, downloaded if there is none yet.

    Args:
        file: What it has to be and where it can be had; the mirrors are tried in their order.
        folder: Where it goes.
        repair: The command to try again, for the messages.

    Raises:
        DataError: No mirror could be reached, or what it sent is not the file.
    """
    present = file.find(folder)
    if present is not None:
        try:
            file.check(present, repair)
        except DataError as error:
            log.warning("%s; it is downloaded again", error)
            present.unlink()
        else:
            return present
    if not file.urls:
        raise DataError(
            f"{folder / file.name}: expected a file, found nothing, and nobody offers a download"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{folder}: cannot be written ({error}); set data.root") from error
    failures = []
    for url in file.urls:
        name = file.name if file.hashed == "file" else url.rsplit("/", 1)[-1]
        part = folder / f"{name}.part"
        log.info("downloading %s to %s", url, folder / name)
        try:
            receive(url, part, None if file.size is None else file.size + file.size // 8 + BLOCK)
            # The suffix says how the content is compressed, so it is checked as what it will be.
            verify(file, part, name, repair)
            return part.replace(folder / name)
        except DataError as error:
            failures.append(str(error))
        except (OSError, http.client.HTTPException) as error:
            failures.append(f"{url}: expected the file, found {type(error).__name__} ({error})")
        finally:
            part.unlink(missing_ok=True)
    raise DataError(
        f"{file.name} could not be downloaded: {'; '.join(failures)}; "
        f"try again: {repair}, or put the file into {folder}"
    )


def verify(file: DataFile, part: Path, name: str, repair: str) -> None:
    """Checks a ``.part`` file as if it had its own name already."""
    if file.hashed == "file":
        file.check(part, repair)
        return
    disguised = part.with_name(f".part-{name}")
    part.replace(disguised)
    try:
        file.check(disguised, repair)
    finally:
        disguised.replace(part)


def receive(url: str, target: Path, most: int | None = None) -> None:
    """Streams a URL into a file, with a progress bar where there is a terminal.

    Raises:
        DataError: It sends more than so many bytes.
    """
    if url.startswith(DRIVE):
        return from_drive(url.removeprefix(DRIVE), target)
    from rich.console import Console
    from rich.progress import Progress

    request = urllib.request.Request(url, headers={"User-Agent": "genlab"})
    with (
        urllib.request.urlopen(request, timeout=TIMEOUT) as response,
        target.open("wb") as file,
        Progress(
            console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()
        ) as progress,
    ):
        total = response.headers.get("Content-Length")
        task = progress.add_task(url.rsplit("/", 1)[-1], total=int(total) if total else None)
        while block := response.read(BLOCK):
            file.write(block)
            if most is not None and file.tell() > most:
                raise DataError(f"{url}: expected at most {most:,} bytes, found more")
            progress.advance(task, len(block))
    return None


def from_drive(identity: str, target: Path) -> None:
    try:
        gdown = importlib.import_module("gdown")
    except ImportError:
        raise DataError(
            f"gdrive:{identity}: Google Drive needs the gdown package: pip install gdown"
        ) from None
    if gdown.download(id=identity, output=str(target), quiet=not sys.stderr.isatty()) is None:
        raise DataError(f"gdrive:{identity}: expected the file, found a refusal of Google Drive")
