"""Finds, verifies and downloads the files of a data set; nothing here imports torch."""

import logging
from pathlib import Path

from genlab.data.storage.cache import cache_dir
from genlab.data.storage.download import download
from genlab.data.storage.manifest import DataFile, Manifest, repair_command
from genlab.errors import DataError

__all__ = ["download_folder", "find", "folders", "obtain"]

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


def find(manifest: Manifest, root: str | Path | None = None) -> dict[str, Path] | None:
    """The files in the first folder that holds them all, unverified; None where none does.

    Raises:
        DataError: A folder holds some of the files, but not all.
    """
    for folder in folders(manifest, root):
        found = complete(manifest, folder, root)
        if found:
            return found
    return None


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
    errors: list[DataError] = []
    for folder in folders(manifest, root):
        try:
            found = complete(manifest, folder, root)
            if not found:
                continue
            for file in manifest.files:
                file.check(found[file.name], command)
        except DataError as error:
            errors.append(error)
            continue
        for seen in errors:
            log.warning("%s; using %s instead", seen, folder)
        return found
    if errors and not repair:
        raise errors[0]
    for seen in errors:
        log.warning("%s; it is downloaded again", seen)
    target = download_folder(manifest, root)
    return {file.name: download(file, target, command) for file in manifest.files}


def complete(manifest: Manifest, folder: Path, root: str | Path | None) -> dict[str, Path] | None:
    """The files if the folder holds them all, None if it holds none."""
    paths = {file.name: file.find(folder) for file in manifest.files}
    found = {name: path for name, path in paths.items() if path is not None}
    if not found:
        return None
    missing = [name for name, path in paths.items() if path is None]
    if missing:
        file = next(file for file in manifest.files if file.name == missing[0])
        path, what = instead(file, folder)
        raise DataError(
            f"{path}: expected a file of {manifest.name}, found {what}; "
            f"repair: {repair_command(manifest.name, root)}"
        )
    return found


def instead(file: DataFile, folder: Path) -> tuple[Path, str]:
    """What stands where a file should be."""
    for path in (folder / name for name in file.candidates()):
        if path.is_dir():
            return path, "a folder"
        if path.is_symlink():
            return path, "a link to nothing"
    return folder / file.name, "nothing"
