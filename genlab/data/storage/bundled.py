"""Data that comes with the package; nothing here imports torch."""

import hashlib
import io
import lzma
import tarfile
from pathlib import Path

from genlab.data.storage.damage import expecting, read_bounded, repairable
from genlab.data.storage.manifest import DataFile, Manifest, open_any
from genlab.data.storage.manifests import MNIST_FILES
from genlab.data.storage.sources import obtain_file
from genlab.errors import DataError

__all__ = ["ARCHIVE", "REPAIR", "bundle", "read_archive", "read_bundled"]

ARCHIVE = Path(__file__).with_name("mnist.tar.xz")

LARGEST = 60_000_000
"""Bytes of its four files; 55 million are right."""

REPAIR = "pip install --force-reinstall genlab"
"""Gets a good copy of the archive."""


def bundle(name: str) -> Path:
    """Folder of a bundled data set's files."""
    return Path(__file__).parent / name


def read_bundled(manifest: Manifest, name: str, most: int) -> bytes:
    """The verified content of a bundled file, decompressed.

    Args:
        manifest: Of the data set.
        name: The file.
        most: Bytes beyond which it is not decompressed.

    Raises:
        DataError: It is missing or damaged.
    """
    file: DataFile = next(file for file in manifest.files if file.name == name)
    folder = bundle(manifest.name)
    absent = f"{folder / name}: expected a file, found nothing; repair: {REPAIR}"
    path = obtain_file(file, [folder], REPAIR, absent)
    with repairable(REPAIR), expecting(f"bundled {name}", path), open_any(path) as opened:
        return read_bounded(opened, most, str(path))


def read_archive(archive: Path = ARCHIVE) -> dict[str, bytes]:
    """The contents of the four idx files, checked against the manifest.

    Raises:
        DataError: The archive is missing or damaged.
    """
    contents: dict[str, bytes] = {}
    with repairable(REPAIR), expecting("the bundled MNIST archive", archive):
        # At once: to look a member up and go back to it would decompress the archive twice.
        with lzma.open(archive) as packed:
            content = read_bounded(packed, LARGEST, str(archive))
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            for file in MNIST_FILES:
                member = tar.extractfile(file.name)
                contents[file.name] = b"" if member is None else member.read()
                found = hashlib.sha256(contents[file.name]).hexdigest()
                if found != file.hash:
                    raise DataError(
                        f"{archive}:{file.name}: expected sha256 {file.hash}, found {found}"
                    )
    return contents
