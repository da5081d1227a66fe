"""Files of a data set: where they are looked for, verified and downloaded to.

Nothing here imports torch.
"""

import logging
from pathlib import Path

from genlab.data.storage.manifest import BLOCK, DataFile, Manifest, repair_command
from genlab.errors import DataError
from genlab.system.download import download_file
from genlab.system.paths import cache_dir

__all__ = ["download_folder", "find", "folders", "holds", "obtain", "problems"]

log = logging.getLogger("genlab")


def folders(manifest: Manifest, root: str | Path | None = None) -> list[Path]:
    """Where the files are looked for, in this order: data.root, the system, the cache."""
    places: list[Path] = []
    if root is not None:
        base = Path(root).expanduser()
        places += [base, *(base / name for name in manifest.folders)]
    places += [Path(name) for name in manifest.system]
    places.append(download_folder(manifest))
    return places


def download_folder(manifest: Manifest, root: str | Path | None = None) -> Path:
    """Where a download goes: under data.root where it is given, else under the cache."""
    if root is not None:
        return Path(root).expanduser() / manifest.folders[0]
    return cache_dir() / "downloads" / manifest.name


def holds(manifest: Manifest, folder: Path) -> bool:
    """Whether a folder holds any of the files."""
    return any(file.find(folder) for file in manifest.files)


def find(manifest: Manifest, root: str | Path | None = None) -> dict[str, Path] | None:
    """Path by file name in the first folder that holds any, unverified; None where none does.

    Raises:
        DataError: That folder does not hold them all.
    """
    command = repair_command(manifest.name, root)
    for folder in folders(manifest, root):
        if holds(manifest, folder):
            return {file.name: file.locate(folder, command) for file in manifest.files}
    return None


def problems(manifest: Manifest, folder: Path, root: str | Path | None = None) -> list[str]:
    """What of the files is missing or damaged in a folder, a line each."""
    command = repair_command(manifest.name, root)
    lines = []
    for file in manifest.files:
        try:
            file.check(file.locate(folder, command), command)
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
    command = repair_command(manifest.name, root)
    harms: list[str] = []
    for folder in folders(manifest, root):
        if not holds(manifest, folder):
            continue
        if found := problems(manifest, folder, root):
            harms += found[:1]
            continue
        for harm in harms:
            log.warning("%s; using %s instead", harm, folder)
        return {file.name: file.locate(folder, command) for file in manifest.files}
    if harms and not repair:
        raise DataError(harms[0])
    for harm in harms:
        log.warning("%s; it is downloaded again", harm)
    target = download_folder(manifest, root)
    return {file.name: fetch(file, target, command) for file in manifest.files}


def fetch(file: DataFile, folder: Path, command: str) -> Path:
    """A verified file in a folder: the one that is there, or else a download.

    Raises:
        DataError: It cannot be downloaded.
    """
    if (present := file.find(folder)) is not None:
        try:
            file.check(present, command)
        except DataError:
            present.unlink()
        else:
            return present
    if not file.urls:
        raise DataError(
            f"{folder / file.name}: expected a file, found nothing, and nobody offers a download"
        )
    target = folder / file.download_name
    most = None if file.size is None else file.size + BLOCK  # gzip adds 6 bytes in 100,000
    try:
        return download_file(file.urls, target, file.download_hash, most)
    except OSError as error:
        raise DataError(f"{folder}: cannot be written ({error}); set data.root") from error
    except DataError as error:
        hint = f"try again: {command}, or put the file into {folder}"
        raise DataError(f"{error}; {hint}") from None
