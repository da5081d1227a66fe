"""Files of a data set: where they are looked for, verified and downloaded to.

Nothing here imports torch.
"""

import logging
from pathlib import Path

from genlab.data.storage.damage import repairable
from genlab.data.storage.manifest import BLOCK, DataFile, Manifest, repair_command
from genlab.errors import DataError
from genlab.system.download import download_file
from genlab.system.paths import cache_dir

__all__ = ["find", "folders", "holds", "obtain", "problems"]

log = logging.getLogger("genlab")


def folders(manifest: Manifest, root: str | Path | None = None) -> list[Path]:
    """Where the files are looked for, in this order: data.root, the system, the cache."""
    base = None if root is None else Path(root).expanduser()
    under = [] if base is None else [base, *(base / name for name in manifest.folders)]
    return [*under, *map(Path, manifest.system), cache_dir() / "downloads" / manifest.name]


def holds(manifest: Manifest, folder: Path) -> bool:
    """Whether a folder holds any of the files."""
    return any(file.find(folder) for file in manifest.files)


def locate(manifest: Manifest, folder: Path) -> dict[str, Path]:
    """Path by file name in a folder, unverified.

    Raises:
        DataError: The folder does not hold them all.
    """
    return {file.name: file.locate(folder) for file in manifest.files}


def find(manifest: Manifest, root: str | Path | None = None) -> dict[str, Path] | None:
    """The files in the first folder that holds any, unverified; None where none does.

    Raises:
        DataError: That folder does not hold them all.
    """
    for folder in folders(manifest, root):
        if holds(manifest, folder):
            with repairable(repair_command(manifest.name, root)):
                return locate(manifest, folder)
    return None


def problems(manifest: Manifest, folder: Path) -> list[str]:
    """What of the files is missing or damaged in a folder, a line each."""
    lines = []
    for file in manifest.files:
        try:
            file.check(file.locate(folder))
        except DataError as error:
            lines.append(str(error))
    return lines


def obtain(
    manifest: Manifest, root: str | Path | None = None, repair: bool = False
) -> dict[str, Path]:
    """The verified files of a data set, downloaded where there are none.

    Args:
        manifest: What they have to be.
        root: ``data.root``, the first folder to look in.
        repair: Download again what is damaged or missing instead of raising an error.

    Returns:
        Path by file name, all in one folder.

    Raises:
        DataError: A file is damaged, or missing beside the others, or cannot be downloaded.
    """
    # The first folder in which all is whole.
    places = folders(manifest, root)
    harms: list[str] = []
    for folder in places:
        if not holds(manifest, folder):
            continue
        found = problems(manifest, folder)
        if not found:
            for harm in harms:
                log.warning("%s; using %s instead", harm, folder)
            return locate(manifest, folder)
        harms += found[:1]

    # Else a download: under data.root where it is given, else into the cache.
    command = repair_command(manifest.name, root)
    if harms and not repair:
        raise DataError(f"{harms[0]}; repair: {command}")
    for harm in harms:
        log.warning("%s; it is downloaded again", harm)
    target = places[-1] if root is None else places[1]
    with repairable(f"{command}, or put the files into {target}"):
        return {file.name: fetch(file, target) for file in manifest.files}


def fetch(file: DataFile, folder: Path) -> Path:
    """A verified file in a folder: the one that is there, or else a download.

    Raises:
        DataError: It cannot be downloaded.
    """
    if (present := file.find(folder)) is not None:
        try:
            file.check(present)
        except DataError:
            present.unlink()
        else:
            return present
    packed = file.hashed == "content"
    name = f"{file.name}.gz" if packed else file.name
    known = f"sha256:{file.packed}" if packed else f"{file.algorithm}:{file.hash}"
    most = None if file.size is None else file.size + BLOCK  # gzip adds 6 bytes in 100,000
    try:
        return download_file(file.urls, folder / name, known, most)
    except OSError as error:
        raise DataError(f"{folder}: cannot be written ({error}); set data.root") from error
