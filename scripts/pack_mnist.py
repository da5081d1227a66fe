"""Rebuilds genlab/data/storage/mnist.tar.xz from the four original idx files.

    python scripts/pack_mnist.py FOLDER

FOLDER holds the files as plain, gzip or xz files under their original names. Each is checked
against the SHA-256 in genlab.data.storage.manifests before it is packed. The archive is the same
byte for byte with the same version of liblzma; it takes about two minutes and one core.
"""

import io
import lzma
import sys
import tarfile
from pathlib import Path

from genlab.data.storage.bundled import ARCHIVE
from genlab.data.storage.manifest import open_any
from genlab.data.storage.manifests import MNIST_FILES

# Images of 28 rows of 28 bytes: no alignment to exploit, so no position bits.
FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": 4, "lp": 0, "pb": 0}]


def pack(folder: Path, archive: Path) -> None:
    """Writes the archive.

    Args:
        folder: Where the four files are.
        archive: What to write.

    Raises:
        DataError: A file is missing or not the original one.
    """
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for file in MNIST_FILES:
            path = file.locate(folder)
            file.check(path)
            member = tarfile.TarInfo(file.name)
            with open_any(path) as opened:
                data = opened.read()
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    temporary = archive.with_name(f"{archive.name}.part")
    temporary.write_bytes(
        lzma.compress(content.getvalue(), check=lzma.CHECK_SHA256, filters=FILTERS)
    )
    temporary.replace(archive)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    pack(Path(sys.argv[1]), ARCHIVE)
    print(f"{ARCHIVE}: {ARCHIVE.stat().st_size:,} bytes")
