"""The archive of MNIST that comes with the package; nothing here imports torch."""

import hashlib
import io
import lzma
import tarfile
from pathlib import Path

from genlab.data.storage.damage import expecting, read_bounded, repairable
from genlab.data.storage.manifests import MNIST_FILES
from genlab.errors import DataError

__all__ = ["ARCHIVE", "REPAIR", "read_archive"]

ARCHIVE = Path(__file__).with_name("mnist.tar.xz")

LARGEST = 60_000_000
"""Bytes of its four files; 55 million are right."""

REPAIR = "pip install --force-reinstall genlab"
"""Gets a good copy of the archive."""


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
