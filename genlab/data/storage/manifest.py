"""Records of what a data set consists of: its files with their hashes, its shapes and labels.

Nothing here imports torch, so that listing and verifying answer at once.
"""

import gzip
import hashlib
import lzma
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from genlab.data.storage.damage import expecting
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
        hashed: Whether the digest is of the file as it lies on disk, of its decompressed
            content (then ``name``, ``name.gz`` and ``name.xz`` will all do), or of the pixels of a
            picture without loss, which any encoder may have written.
        size: Bytes of what is hashed, None where not known.
        urls: Where it can be downloaded, tried in this order; ``name.gz`` where the content is
            hashed.
        packed: SHA-256 of that ``name.gz``.
        alias: Its name in a package that has it under another.
    """

    name: str
    hash: str
    algorithm: Literal["sha256", "md5"] = "sha256"
    hashed: Literal["file", "content", "pixels"] = "file"
    size: int | None = None
    urls: tuple[str, ...] = ()
    packed: str = ""
    alias: str = ""

    def candidates(self) -> tuple[str, ...]:
        """The file names that would do."""
        if self.hashed == "content":
            return (self.name, f"{self.name}.gz", f"{self.name}.xz")
        return (self.name, self.alias) if self.alias else (self.name,)

    def find(self, folder: Path) -> Path | None:
        """The file in a folder under any of its names, or None."""
        paths = (folder / name for name in self.candidates())
        return next((path for path in paths if path.is_file()), None)

    def locate(self, folder: Path) -> Path:
        """The file in a folder under any of its names.

        Raises:
            DataError: It is not there; says what is.
        """
        if (path := self.find(folder)) is not None:
            return path
        for path in (folder / name for name in self.candidates()):
            if path.is_dir() or path.is_symlink():
                found = "a folder" if path.is_dir() else "a link to nothing"
                raise DataError(f"{path}: expected a file, found {found}")
        raise DataError(f"{folder / self.name}: expected a file, found nothing")

    def check(self, path: Path) -> None:
        """Reads the file and compares it with the manifest.

        Raises:
            DataError: It is not the file that the manifest describes.
        """
        if self.hashed == "pixels":
            found, size = pixel_digest(path, self.size)
        else:
            found, size = digest(path, self.algorithm, self.hashed == "content", self.size)
        if self.size is not None and size != self.size:
            more = "more" if size > self.size else size
            raise DataError(f"{path}: expected {self.size} bytes, found {more}")
        if found != self.hash:
            raise DataError(f"{path}: expected {self.algorithm} {self.hash}, found {found}")


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
        others: Further files, which an option asks for and which are looked for by themselves.
        folders: Names of the folders in which the files may lie under ``data.root``.
        system: Absolute folders where a distribution's package puts them.
        module: Python module in whose folder they lie where it is installed.
        origin: "bundled", "download", "package" (of a package manager, fetched when asked for),
            "generated" or "yours".
        licence: The licence or terms of the data.
        attribution: Who made it, and what was changed.
        notice: Name of the file beside this one that has the whole text of the terms.
        megabytes: About how much a download is.
        class_names: Names of the classes in the order of the labels, where the set has any.
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
    module: str = ""
    others: tuple[DataFile, ...] = ()
    origin: Literal["bundled", "download", "package", "generated", "yours"] = "generated"
    licence: str = ""
    attribution: str = ""
    notice: str = ""
    megabytes: int = 0
    class_names: tuple[str, ...] = ()

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
    path: Path, algorithm: str = "sha256", content: bool = False, most: int | None = None
) -> tuple[str, int]:
    """Hash in hex and number of bytes, of a file or of its decompressed content.

    Args:
        path: The file.
        algorithm: Which hash.
        content: Whether its decompressed content is meant.
        most: Bytes beyond which it is not read: a small file can be made to unpack to terabytes.

    Raises:
        DataError: The file cannot be read or decompressed.
    """
    # MD5 is used against accidents only, which a FIPS build of Python has to be told.
    state = hashlib.new(algorithm, usedforsecurity=False)
    size = 0
    with (
        expecting("a readable file", path),
        open_any(path) if content else path.open("rb") as file,
    ):
        while (most is None or size <= most) and (block := file.read(BLOCK)):
            state.update(block)
            size += len(block)
    return state.hexdigest(), size


def pixel_digest(path: Path, most: int | None = None) -> tuple[str, int]:
    """SHA-256 in hex and number of bytes of a picture's pixels, row by row.

    Args:
        path: A PNG or WebP file.
        most: Bytes beyond which it is not decoded.

    Raises:
        DataError: It is no such picture.
    """
    from PIL import Image

    errors = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)
    with (
        expecting("a picture", path, errors),
        Image.open(path, formats=["PNG", "WEBP"]) as picture,
    ):
        size = picture.width * picture.height * len(picture.getbands())
        if most is not None and size > most:
            return "", size
        return hashlib.sha256(picture.tobytes()).hexdigest(), size


def repair_command(name: str, root: str | Path | None = None) -> str:
    """Command that gets a good copy of a data set.

    Example:
        >>> repair_command("kmnist")
        'genlab data prepare kmnist'
    """
    at = f" data.root={root}" if root else ""
    return f"genlab data prepare {name}{at}"
