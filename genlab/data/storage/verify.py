"""Damage of the files and cached arrays of a data set, in words; nothing here imports torch."""

from genlab.data.storage.bundled import ARCHIVE, REPAIR, bundle, read_archive
from genlab.data.storage.cache import open_arrays
from genlab.data.storage.manifest import Manifest, repair_command
from genlab.data.storage.manifests import MNIST_FILES
from genlab.data.storage.sources import folders, holds, problems
from genlab.errors import DataError
from genlab.system.paths import cache_dir

__all__ = [
    "problems_of_bundle",
    "problems_of_cache",
    "problems_of_files",
    "problems_of_others",
]


def problems_of_bundle(manifest: Manifest) -> tuple[str, list[str]]:
    """Where the files of a data set lie in the package, and the damage in them."""
    if manifest.files != MNIST_FILES:
        folder = bundle(manifest.name)
        return str(folder), [f"{h}; repair: {REPAIR}" for h in problems(manifest, folder)]
    try:
        read_archive()
    except DataError as error:
        return str(ARCHIVE), [str(error)]
    return str(ARCHIVE), []


def problems_of_others(manifest: Manifest, root: str | None) -> tuple[str, list[str]]:
    """Further files of a data set that are here, and the damage in them."""
    looked, harms = [], []
    for folder in folders(manifest, root):
        for file in manifest.others:
            if (path := file.find(folder)) is None:
                continue
            looked.append(str(path))
            try:
                file.check(path)
            except DataError as error:
                harms.append(f"{error}; repair: put the file of this SHA-256 in its place")
    return ", ".join(looked), harms


def problems_of_files(manifest: Manifest, root: str | None) -> tuple[str, list[str]]:
    """Folders with files of a data set, and the damage in them."""
    looked = [folder for folder in folders(manifest, root) if holds(manifest, folder)]
    command = repair_command(manifest.name, root)
    harms = [f"{h}; repair: {command}" for folder in looked for h in problems(manifest, folder)]
    return ", ".join(map(str, looked)), harms


def problems_of_cache(manifest: Manifest) -> tuple[str, list[str]]:
    """Folders with decoded arrays of a data set, and the damage in them."""
    looked, harms = [], []
    for folder in sorted((cache_dir() / "arrays").glob(f"{manifest.key}*")):
        looked.append(str(folder))
        try:
            open_arrays(folder, thorough=True)
        except (OSError, ValueError, KeyError) as error:
            harms.append(f"{folder}: {error}; repair: {repair_command(manifest.name)}")
    return ", ".join(looked), harms
