"""Files of a data set: where they are looked for, verified and downloaded to.

Nothing here imports torch.
"""

import logging
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from genlab.data.storage.damage import repairable
from genlab.data.storage.manifest import BLOCK, DataFile, Manifest, repair_command
from genlab.errors import DataError
from genlab.system.download import download_file
from genlab.system.paths import cache_dir

__all__ = ["find", "folders", "holds", "obtain", "obtain_file", "problems"]

log = logging.getLogger("genlab")


def folders(manifest: Manifest, root: str | Path | None = None) -> list[Path]:
    """Folders to look in, in this order: data.root, the system, an installed package, the cache."""
    base = None if root is None else Path(root).expanduser()
    under = [] if base is None else [base, *(base / name for name in manifest.folders)]
    installed = module_folders(manifest.module) if manifest.module else []
    system = map(Path, manifest.system)
    return [*under, *system, *installed, cache_dir() / "downloads" / manifest.name]


def module_folders(module: str) -> list[Path]:
    """Folders of an installed Python module, which is not imported for it; empty where there is
    none."""
    try:
        spec = find_spec(module)
    except ModuleNotFoundError:  # the package that it is part of
        return []
    return [] if spec is None else [Path(place) for place in spec.submodule_search_locations or ()]


def holds(manifest: Manifest, folder: Path) -> bool:
    """True where a folder holds any of the files."""
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
    """Missing and damaged files in a folder, a line each."""
    lines = []
    for file in manifest.files:
        try:
            file.check(file.locate(folder))
        except DataError as error:
            lines.append(str(error))
    return lines


def obtain_file(file: DataFile, places: Sequence[Path], repair: str, absent: str) -> Path:
    """One verified file, from the first folder that has it whole.

    Args:
        file: What it has to be.
        places: Folders to look in.
        repair: What to do where it is damaged.
        absent: What to say where it is in none of them.

    Raises:
        DataError: It is missing or damaged.
    """
    harms: list[str] = []
    for folder in places:
        if (path := file.find(folder)) is None:
            continue
        try:
            file.check(path)
        except DataError as error:
            harms.append(str(error))
            continue
        for harm in harms:
            log.warning("%s; using %s instead", harm, path)
        return path
    raise DataError(f"{harms[0]}; repair: {repair}" if harms else absent)


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
