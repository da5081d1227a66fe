"""Records of what a data set consists of: its files with their hashes, its shapes and labels.

Nothing here imports torch, so that listing and verifying answer at once.
"""

import gzip
import hashlib
import lzma
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from genlab.errors import DataError

__all__ = ["DataFile", "Manifest", "digest", "open_any", "repair_command"]

BLOCK = 1 << 20


@dataclass(frozen=True)
class DataFile:
    """One file of a data set, with what proves it whole.

    Args:
        name: Its name, without a compression suffix where ``hashed`` is "content".
        hash: Digest in hex.
        algorithm: Which hash it is; MD5 only where the data set's publisher or torchvision pins
            nothing better: it catches damage, not malice.
        hashed: Whether the digest is of the file as it lies on disk or of its decompressed
            content (then ``name``, ``name.gz`` and ``name.xz`` will all do).
        size: Bytes of what is hashed, None where not known.
        urls: Where it can be downloaded, tried in this order; ``name.gz`` where the content is
            hashed.
        packed: SHA-256 of that ``name.gz``.
    """

    name: str
    hash: str
    algorithm: Literal["sha256", "md5"] = "sha256"
    hashed: Literal["file", "content"] = "file"
    size: int | None = None
    urls: tuple[str, ...] = ()
    packed: str = ""

    def candidates(self) -> tuple[str, ...]:
        """The file names that would do."""
        if self.hashed == "file":
            return (self.name,)
        return (self.name, f"{self.name}.gz", f"{self.name}.xz")

    @property
    def download_name(self) -> str:
        """Its name as the URLs offer it."""
        return self.name if self.hashed == "file" else f"{self.name}.gz"

    @property
    def download_hash(self) -> str:
        """Its hash as the URLs offer it: ``algorithm:hex``."""
        if self.hashed == "file":
            return f"{self.algorithm}:{self.hash}"
        return f"sha256:{self.packed}"

    def find(self, folder: Path) -> Path | None:
        """The file in a folder under any of its names, or None."""
        paths = (folder / name for name in self.candidates())
        return next((path for path in paths if path.is_file()), None)

    def locate(self, folder: Path, repair: str) -> Path:
        """The file in a folder under any of its names.

        Args:
            folder: Where it must be.
            repair: What the user can type to repair it.

        Raises:
            DataError: It is not there; says what is.
        """
        if (path := self.find(folder)) is not None:
            return path
        path, found = folder / self.name, "nothing"
        for other in (folder / name for name in self.candidates()):
            if other.is_dir() or other.is_symlink():
                path, found = other, "a folder" if other.is_dir() else "a link to nothing"
                break
        raise DataError(f"{path}: expected a file, found {found}; repair: {repair}")

    def check(self, path: Path, repair: str) -> None:
        """Reads the file and compares it with the manifest.

        Args:
            path: The file.
            repair: What the user can type to repair it.

        Raises:
            DataError: It is not the file that the manifest describes.
        """
        found, size = digest(path, self.algorithm, self.hashed == "content", repair, self.size)
        if self.size is not None and size != self.size:
            more = "more" if size > self.size else size
            raise DataError(f"{path}: expected {self.size} bytes, found {more}; repair: {repair}")
        if found != self.hash:
            raise DataError(
                f"{path}: expected {self.algorithm} {self.hash}, found {found}; repair: {repair}"
            )


@dataclass(frozen=True)
class Manifest:
    """Files and geometry of a data set, known before it is on this machine.

    Args:
        name: Name of the data set, that of its YAML.
        shape: ``(C, H, W)``, or None where the config decides.
        train: Number of training images, None where the config decides.
        test: Number of test images, None where the config decides.
        classes: Number of labels; they are ``0 .. classes - 1``.
        levels: Number of values of a sub-pixel.
        files: The files, empty for generated data and the user's own.
        folders: Names of the folders in which the files may lie under ``data.root``.
        system: Absolute folders where a distribution's package puts them.
        origin: "bundled", "download", "generated" or "yours".
        licence: The licence or terms of the data.
        megabytes: About how much a download is.
    """

    name: str
    shape: tuple[int, int, int] | None
    train: int | None
    test: int | None
    classes: int = 0
    levels: int = 256
    files: tuple[DataFile, ...] = ()
    folders: tuple[str, ...] = ()
    system: tuple[str, ...] = ()
    origin: Literal["bundled", "download", "generated", "yours"] = "generated"
    licence: str = ""
    megabytes: int = 0

    @property
    def key(self) -> str:
        """A short hash of the files' hashes: the name of what is cached of them."""
        text = "/".join(file.hash for file in self.files)
        return f"{self.name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def open_any(path: Path) -> IO[bytes]:
    """Opens a plain, gzip or xz file for reading its decompressed content."""
    if path.suffix == ".gz":
        return gzip.open(path, "rb")  # type: ignore[return-value]
    if path.suffix == ".xz":
        return lzma.open(path, "rb")
    return path.open("rb")


def digest(
    path: Path,
    algorithm: str = "sha256",
    content: bool = False,
    repair: str = "",
    most: int | None = None,
) -> tuple[str, int]:
    """Hash in hex and number of bytes, of a file or of its decompressed content.

    Args:
        path: The file.
        algorithm: Which hash.
        content: Whether its decompressed content is meant.
        repair: What the user can type to repair it.
        most: Bytes beyond which it is not read: a small file can be made to unpack to terabytes.

    Raises:
        DataError: The file cannot be read or decompressed.
    """
    # MD5 is used against accidents only, which a FIPS build of Python has to be told.
    state = hashlib.new(algorithm, usedforsecurity=False)
    size = 0
    try:
        with open_any(path) if content else path.open("rb") as file:
            while (most is None or size <= most) and (block := file.read(BLOCK)):
                state.update(block)
                size += len(block)
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        told = f"; repair: {repair}" if repair else ""
        raise DataError(
            f"{path}: expected a readable file, found {type(error).__name__} ({error}){told}"
        ) from error
    return state.hexdigest(), size


def repair_command(name: str, root: str | Path | None = None) -> str:
    """Command that gets a good copy of a data set.

    Example:
        >>> repair_command("kmnist")
        'genlab data prepare kmnist'
    """
    at = f" data.root={root}" if root else ""
    return f"genlab data prepare {name}{at}"
